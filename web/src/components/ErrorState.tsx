// What a page shows when the server refused or did not answer: its own words, the details, and a way on.
import { Button, Code, List } from '@mantine/core';
import { IconMoodSad, IconPlugConnectedX, IconRefresh } from '@tabler/icons-react';

import { ApiError } from '../api/client';

interface Props {
  error: unknown;
  title?: string;
  retry?: () => void;
}

function titleOf(error: unknown): string {
  if (!(error instanceof ApiError)) return 'Something went wrong';
  if (error.status === 0) return 'The daemon does not answer';
  if (error.status === 401 || error.status === 403) return 'This daemon wants a token';
  if (error.status === 404) return 'Not found';
  return 'The daemon refused';
}

export function ErrorState({ error, title, retry }: Props) {
  const known = error instanceof ApiError ? error : null;
  const IconShown = known?.status === 0 ? IconPlugConnectedX : IconMoodSad;
  return (
    <div className="empty" role="alert">
      <IconShown size={40} stroke={1.4} />
      <h2>{title ?? titleOf(error)}</h2>
      <p>{error instanceof Error ? error.message : String(error)}</p>
      {known?.status === 401 && <p>Open the address that `moelab serve` printed; it carries `?token=…`.</p>}
      {known && known.details.length > 0 && (
        <List size="sm" ta="left">
          {known.details.map((problem) => (
            <List.Item key={`${problem.path}:${problem.line}:${problem.message}`}>
              {problem.path && <Code>{problem.path}</Code>} {problem.line > 0 && <span className="faint">line {problem.line}: </span>}
              {problem.message}
            </List.Item>
          ))}
        </List>
      )}
      {retry && (
        <Button variant="light" leftSection={<IconRefresh size={16} />} onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}
