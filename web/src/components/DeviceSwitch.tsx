// Keeps runs away from a device, or lets them on it again.
import { Button } from '@mantine/core';
import { IconBan, IconCircleCheck } from '@tabler/icons-react';
import { useState } from 'react';

import { useDeviceVerb } from '../api/actions';
import type { Device } from '../api/types';
import { deviceVerb } from '../lib/devices';
import { sentence } from '../lib/format';
import { ReasonDialog } from './ReasonDialog';

export function DeviceSwitch({ device }: { device: Device }) {
  const act = useDeviceVerb();
  const [asked, setAsked] = useState(false);
  const verb = deviceVerb(device.state);
  if (verb === null) return null;
  const close = () => {
    act.reset();
    setAsked(false);
  };
  const enable = verb === 'enable';
  const IconShown = enable ? IconCircleCheck : IconBan;
  return (
    <>
      <Button size="compact-sm" variant={enable ? 'light' : 'default'} leftSection={<IconShown size={15} />} onClick={() => setAsked(true)} aria-label={`${enable ? 'Enable' : 'Disable'} ${device.id}`}>
        {enable ? 'Enable' : 'Disable'}
      </Button>
      {asked && (
        <ReasonDialog
          title={`${enable ? 'Enable' : 'Disable'} ${device.id}?`}
          text={enable ? `Runs may have it again at once. ${sentence(device.note)}`.trim() : 'Nothing more starts on it. A run that is on it goes on.'}
          confirm={enable ? 'Enable' : 'Disable'}
          icon={IconShown}
          {...(enable ? {} : { hint: 'Shown beside the device', example: 'its fan is being replaced' })}
          refused={`${device.id} is as it was`}
          error={act.error}
          pending={act.isPending}
          close={close}
          confirmed={(reason) => act.mutate({ id: device.id, verb, reason }, { onSuccess: close })}
        />
      )}
    </>
  );
}
