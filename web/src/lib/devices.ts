// Owns what the page knows of device states: label, icon, colour, and what it says of a device that the server says nothing about. Pure.
import { IconAlertTriangle, IconBan, IconCircleCheck, IconClockPause, IconLock, IconPlayerPlay, type Icon } from '@tabler/icons-react';

import type { Device } from '../api/types';

export const DEVICE_LOOKS: Record<Device['state'], { label: string; icon: Icon; color: string }> = {
  free: { label: 'Free', icon: IconCircleCheck, color: 'var(--state-completed)' },
  leased: { label: 'Leased', icon: IconPlayerPlay, color: 'var(--state-running)' },
  busy: { label: 'Busy', icon: IconLock, color: 'var(--state-timed-out)' },
  quarantined: { label: 'In quarantine', icon: IconClockPause, color: 'var(--state-failed)' },
  disabled: { label: 'Disabled', icon: IconBan, color: 'var(--state-cancelled)' },
  faulty: { label: 'Faulty', icon: IconAlertTriangle, color: 'var(--state-failed)' },
};

/** "2 free, 1 leased, 1 in quarantine": free and leased always, the others when there are any. */
export function countWords(devices: readonly Device[]): string {
  const states = Object.keys(DEVICE_LOOKS) as Device['state'][];
  return states
    .map((state) => ({ state, count: devices.filter((device) => device.state === state).length }))
    .filter(({ state, count }) => count > 0 || state === 'free' || state === 'leased')
    .map(({ state, count }) => `${count} ${DEVICE_LOOKS[state].label.toLowerCase()}`)
    .join(', ');
}

/** What a person can change: let runs on it again, or keep them away. A fault is mended by hand. */
export function deviceVerb(state: Device['state']): 'enable' | 'disable' | null {
  if (state === 'quarantined' || state === 'disabled') return 'enable';
  return state === 'faulty' ? null : 'disable';
}

const MEANING: Record<Device['state'], string> = {
  free: 'Ready for the next run in the queue.',
  leased: '',
  busy: 'Somebody else uses it, or it has not been idle for long enough.',
  quarantined: 'Kept free for a while, since runs failed on it.',
  disabled: 'Nothing starts on it.',
  faulty: 'It cannot be used.',
};

export function meaningOf(device: Device): string {
  return device.note || MEANING[device.state];
}
