// Starts a queued run ahead of everybody, also on a device that somebody else uses.
import { Button, Group, Modal, Select, Stack } from '@mantine/core';
import { IconBolt } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';

import { useForce } from '../api/actions';
import { devicesQuery } from '../api/queries';
import type { Run } from '../api/types';
import { sentence } from '../lib/format';
import { Refusal } from './Refusal';

const ANY = 'any';

export function ForceDialog({ run, opened, close }: { run: Run; opened: boolean; close: () => void }) {
  const force = useForce();
  const { data } = useQuery({ ...devicesQuery, enabled: opened });
  const [device, setDevice] = useState(ANY);
  const devices = data?.devices ?? [];
  const chosen = devices.find(({ id }) => id === device);
  const leave = () => {
    force.reset();
    close();
  };
  return (
    <Modal opened={opened} onClose={leave} title={`Force ${run.name} to start?`} radius="lg" centered closeButtonProps={{ 'aria-label': 'Close' }}>
      <Stack gap="md">
        <p style={{ margin: 0 }}>
          It starts before every other run, and also on a device that somebody else uses: both may then run slowly or out of memory. Never on one that
          another run of this daemon holds, that is faulty, or that is in quarantine.
        </p>
        <Select
          label="Device"
          data={[{ value: ANY, label: 'Any of the kind it asks for' }, ...devices.map(({ id, state }) => ({ value: id, label: `${id} (${state})` }))]}
          value={device}
          onChange={(value) => setDevice(value ?? ANY)}
          allowDeselect={false}
          comboboxProps={{ withinPortal: true }}
        />
        {chosen?.note && <span className="soft">{sentence(chosen.note)}</span>}
        {force.error && <Refusal title={`${run.name} was not forced`} error={force.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={leave}>
            Let it wait
          </Button>
          <Button
            leftSection={<IconBolt size={16} />}
            loading={force.isPending}
            onClick={() => force.mutate({ id: run.id, device: device === ANY ? null : device }, { onSuccess: leave })}
          >
            Force it
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
