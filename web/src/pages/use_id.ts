// The numeric :id of the address; null when it is not one.
import { useParams } from 'react-router';

export function useId(): number | null {
  const { id } = useParams();
  return id && /^[1-9]\d{0,15}$/.test(id) ? Number(id) : null;
}
