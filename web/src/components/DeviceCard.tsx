// One device: its state and why, which runs hold it, how warm and full it is, whose processes are on it.
import { Group, Stack, Tooltip } from '@mantine/core';
import type { CSSProperties } from 'react';
import { Link } from 'react-router';

import type { Device } from '../api/types';
import { DEVICE_LOOKS, meaningOf } from '../lib/devices';
import { ago, dateTime, fixed, percent, plural, ranges, sentence } from '../lib/format';
import { DeviceSwitch } from './DeviceSwitch';

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

function Holders({ device, now }: { device: Device; now: number }) {
  if (device.runs.length === 0) return null;
  return (
    <div>
      <span className="soft">{device.runs.length > 1 ? `${device.runs.length} runs share it: ` : 'Runs '}</span>
      {device.runs.map((run, i) => (
        <span key={run.id}>
          {i > 0 && ', '}
          <Link className="name-link" to={`/runs/${run.id}`}>
            {run.name}
          </Link>
        </span>
      ))}
      {device.since && (
        <div className="faint" style={{ fontSize: 12.5 }} title={dateTime(device.since)}>
          leased {ago(device.since, now)}
        </div>
      )}
    </div>
  );
}

function Processes({ device }: { device: Device }) {
  return (
    <div style={{ borderTop: '1px solid var(--line)' }} className="table-wrap" role="region" tabIndex={0} aria-label={`Processes on ${device.id}`}>
      <table className="table">
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
  );
}

function facts(device: Device): string {
  const parts = [
    device.temperature_c === null ? '' : `${fixed(device.temperature_c, 0)} °C`,
    device.power_w === null ? '' : `${fixed(device.power_w, 0)} W`,
    device.threads > 0 ? `${plural(device.threads, 'thread')} a run` : '',
    device.cpus.length > 0 ? `CPUs ${ranges(device.cpus)}` : '',
  ];
  return parts.filter(Boolean).join(' · ');
}

export function DeviceCard({ device, now }: { device: Device; now: number }) {
  const look = DEVICE_LOOKS[device.state];
  const { memory_total_mb: total, memory_used_mb: used, utilization_pct: busy } = device;
  return (
    <article className="card" aria-label={`${device.id}: ${look.label}`} data-device={device.id} data-device-state={device.state}>
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
        <Stack gap={4} style={{ margin: '14px 0', minHeight: 40, fontSize: 14 }}>
          <Holders device={device} now={now} />
          {meaningOf(device) && <span className={device.state === 'free' ? 'soft' : undefined}>{sentence(meaningOf(device))}</span>}
        </Stack>
        <Stack gap={12}>
          <Meter
            label="Memory"
            share={total && used !== null ? used / total : null}
            text={total && used !== null ? `${gigabytes(used)} of ${gigabytes(total)}` : ''}
          />
          <Meter label="Utilisation" share={busy === null ? null : busy / 100} text={busy === null ? '' : percent(busy / 100)} />
        </Stack>
        <Group justify="space-between" gap={8} mt={14} mih={28}>
          <span className="faint num" style={{ fontSize: 12.5 }}>
            {facts(device)}
          </span>
          <DeviceSwitch device={device} />
        </Group>
      </div>
      {device.processes.length > 0 && <Processes device={device} />}
    </article>
  );
}
