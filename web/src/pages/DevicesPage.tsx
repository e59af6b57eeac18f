// Every device and what is with it.
import { Skeleton, Stack } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { IconServerOff } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';

import { devicesQuery } from '../api/queries';
import { DeviceCard } from '../components/DeviceCard';
import { EmptyState } from '../components/EmptyState';
import { ErrorState } from '../components/ErrorState';
import { useNow } from '../components/use_now';
import { countWords } from '../lib/devices';

export function DevicesPage() {
  useDocumentTitle('Devices · Moelab');
  const now = useNow();
  const { data, error, isPending, refetch } = useQuery(devicesQuery);
  return (
    <Stack gap="lg">
      <div>
        <h1 className="page-title">Devices</h1>
        <div className="soft num" style={{ fontSize: 14, marginTop: 2 }}>
          {data ? countWords(data.devices) : ' '}
          {data?.note ? ` · ${data.note}` : ''}
        </div>
      </div>
      {error && !data ? (
        <div className="card">
          <ErrorState error={error} retry={() => void refetch()} />
        </div>
      ) : isPending ? (
        <div className="grid-charts" aria-busy="true" aria-label="Loading devices">
          <Skeleton h={240} radius="lg" />
          <Skeleton h={240} radius="lg" />
        </div>
      ) : data.devices.length === 0 ? (
        <div className="card">
          <EmptyState icon={IconServerOff} title="No devices" command="moelab gpus">
            {data.note || 'The daemon found neither a GPU nor a CPU slot that it may use.'}
          </EmptyState>
        </div>
      ) : (
        <div className="grid-charts" style={{ alignItems: 'start' }}>
          {data.devices.map((device) => (
            <DeviceCard key={device.id} device={device} now={now} />
          ))}
        </div>
      )}
    </Stack>
  );
}
