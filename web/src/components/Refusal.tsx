// A refusal inside a dialog: the server's words, beside what was asked for.
import { Alert } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';

export function Refusal({ title, error }: { title: string; error: Error }) {
  return (
    <Alert className="problems" variant="outline" color="gray" icon={<IconAlertTriangle size={18} />} title={title}>
      {error.message}
    </Alert>
  );
}
