import { IconMapOff } from '@tabler/icons-react';
import { Link } from 'react-router';

import { EmptyState } from '../components/EmptyState';

export function NotFoundPage() {
  return (
    <div className="card">
      <EmptyState icon={IconMapOff} title="There is no such page">
        <Link to="/">Back to the experiments</Link>
      </EmptyState>
    </div>
  );
}
