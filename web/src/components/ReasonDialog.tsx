// A question with room for a reason that other people will read. A refusal stays in the dialog, with what was typed.
import { Button, Group, Modal, Stack, TextInput } from '@mantine/core';
import type { Icon } from '@tabler/icons-react';
import { useState } from 'react';

import { Refusal } from './Refusal';

interface Props {
  title: string;
  text: string;
  confirm: string;
  icon: Icon;
  /** Who reads the reason; absent = none is asked for. */
  hint?: string;
  example?: string;
  /** Title over the server's refusal. */
  refused: string;
  error: Error | null;
  pending: boolean;
  close: () => void;
  confirmed: (reason: string) => void;
}

const MAX_REASON = 200; // characters, of the contract

export function ReasonDialog({ title, text, confirm, icon: IconShown, hint, example, refused, error, pending, close, confirmed }: Props) {
  const [reason, setReason] = useState('');
  return (
    <Modal opened onClose={close} title={title} radius="lg" centered closeButtonProps={{ 'aria-label': 'Close' }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          confirmed(reason.trim());
        }}
      >
        <Stack gap="md">
          <p style={{ margin: 0 }}>{text}</p>
          {hint && (
            <TextInput
              label="Reason"
              description={hint}
              placeholder={example ?? ''}
              value={reason}
              onChange={(event) => setReason(event.currentTarget.value)}
              maxLength={MAX_REASON}
              data-autofocus
            />
          )}
          {error && <Refusal title={refused} error={error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Leave it
            </Button>
            <Button type="submit" leftSection={<IconShown size={16} />} loading={pending}>
              {confirm}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}
