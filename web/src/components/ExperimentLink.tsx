// The experiment a run is listed by; a run whose experiment was deleted, or lists it no more, has none.
import type { CSSProperties } from 'react';
import { Link } from 'react-router';

import type { Run } from '../api/types';

interface Props {
  run: Pick<Run, 'experiment' | 'experiment_id'>;
  className?: string;
  style?: CSSProperties;
}

export function ExperimentLink({ run, className, style }: Props) {
  if (run.experiment_id === null) return <span className="faint">no experiment</span>;
  return (
    <Link className={className} style={style} to={`/experiments/${run.experiment_id}`}>
      {run.experiment}
    </Link>
  );
}
