// Every device: free, leased (by which run), or busy (with whose process).
import { Group, Skeleton, Stack, Tooltip } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import { IconAlertTriangle, IconBan, IconCircleCheck, IconClockPause, IconLock, IconPlayerPlay, IconServerOff, type Icon } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import type { CSSProperties } from 'react';
import { Link } from 'react-router';

import { devicesQuery } from '../api/queries';
import type { Device } from '../api/types';
import { EmptyState } from '../components/EmptyState';
import { ErrorState } from '../components/ErrorState';
import { useNow } from '../components/use_now';
import { ago, dateTime, percent, plural } from '../lib/format';

const LOOKS: Record<Device['state'], { label: string; icon: Icon; color: string }> = {
  free: { label: 'Free', icon: IconCircleCheck, color: 'var(--state-completed)' },
  leased: { label: 'Leased', icon: IconPlayerPlay, color: 'var(--state-running)' },
  busy: { label: 'Busy', icon: IconLock, color: 'var(--state-failed)' },
  quarantined: { label: 'Quarantined', icon: IconClockPause, color: 'var(--state-failed)' },
  disabled: { label: 'Disabled', icon: IconBan, color: 'var(--state-cancelled)' },
  faulty: { label: 'Faulty', icon: IconAlertTriangle, color: 'var(--state-failed)' },
};

function gigabytes(megabytes: number): string {
  return `${(megabytes / 1024).toFixed(1)} GiB`;
}

function Meter({ label, share, text }: { label: string; share: number | null; text: string }) {
  const known = share !== null;
  return (
    <div>
      <Group justify="space-between" gap={8} mb={5}>
        <span className="stat-label">{label}</span>
        <span className="num soft" style={{ fontSize: 12.5 }}>
          {known ? text : 'not reported'}
        </span>
      </Group>
      <div className="bar" role="meter" aria-label={label} aria-valuenow={Math.round((share ?? 0) * 100)} aria-valuemin={0} aria-valuemax={100}>
        <span style={{ width: `${(share ?? 0) * 100}%`, '--state': 'var(--accent)' } as CSSProperties} />
      </div>
    </div>
  );
}

function DeviceCard({ device, now }: { device: Device; now: number }) {
  const look = LOOKS[device.state];
  const { memory_total_mb: total, memory_used_mb: used, utilization_pct: busy } = device;
  return (
    <article className="card" aria-label={`${device.id}: ${look.label}`} data-device={device.id}>
      <div className="card-body">
        <Group justify="space-between" wrap="nowrap" align="start">
          <div style={{ minWidth: 0 }}>
            <div style={{ fontSize: 18, fontWeight: 680, letterSpacing: '-0.01em' }}>{device.id}</div>
            <Tooltip label={device.uuid || device.name}>
              <div className="soft truncate" style={{ fontSize: 13 }}>
                {device.name}
              </div>
            </Tooltip>
          </div>
          <span className="state" style={{ '--state': look.color, fontSize: 13 } as CSSProperties}>
            <look.icon size={15} stroke={2} aria-hidden />
            {look.label}
          </span>
        </Group>
        <div style={{ margin: '16px 0', minHeight: 40, fontSize: 14 }}>
          {device.state === 'free' && <span className="soft">Ready for the next run in the queue.</span>}
          {device.state === 'leased' && device.run && (
            <>
              <span className="soft">Runs </span>
              <Link className="name-link" to={`/runs/${device.run.id}`}>
                {device.run.name}
              </Link>
              {device.since && (
                <div className="faint" style={{ fontSize: 12.5 }} title={dateTime(device.since)}>
                  leased {ago(device.since, now)}
                </div>
              )}
            </>
          )}
          {device.note && <span>{device.note}</span>}
        </div>
        <Stack gap={12}>
          <Meter
            label="Memory"
            share={total && used !== null ? used / total : null}
            text={total && used !== null ? `${gigabytes(used)} of ${gigabytes(total)}` : ''}
          />
          <Meter label="Utilisation" share={busy === null ? null : busy / 100} text={busy === null ? '' : percent(busy / 100)} />
        </Stack>
        {device.threads > 0 && (
          <div className="faint" style={{ fontSize: 12.5, marginTop: 12 }}>
            {plural(device.threads, 'thread')} a run
          </div>
        )}
      </div>
      {device.processes.length > 0 && (
        <div style={{ borderTop: '1px solid var(--line)' }} className="table-wrap">
          <table className="table" aria-label={`Processes on ${device.id}`}>
            <thead>
              <tr>
                <th scope="col">Process</th>
                <th scope="col">User</th>
                <th scope="col" className="right">
                  Memory
                </th>
              </tr>
            </thead>
            <tbody>
              {device.processes.map((process) => (
                <tr key={process.pid}>
                  <td style={{ maxWidth: 220 }}>
                    <div className="truncate mono" title={process.command}>
                      {process.command}
                    </div>
                    <div className="faint num" style={{ fontSize: 12 }}>
                      pid {process.pid}
                    </div>
                  </td>
                  <td>{process.own ? <span className="tag tag-accent">ours</span> : <span className="soft">{process.user}</span>}</td>
                  <td className="right">{process.memory_mb === null ? '–' : gigabytes(process.memory_mb)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </article>
  );
}

export function DevicesPage() {
  useDocumentTitle('Devices · Moelab');
  const now = useNow();
  const { data, error, isPending, refetch } = useQuery(devicesQuery);
  const count = (state: Device['state']) => data?.devices.filter((device) => device.state === state).length ?? 0;
  return (
    <Stack gap="lg">
      <div>
        <h1 className="page-title">Devices</h1>
        <div className="soft num" style={{ fontSize: 14, marginTop: 2 }}>
          {data ? `${count('free')} free, ${count('leased')} leased, ${count('busy')} busy` : ' '}
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
