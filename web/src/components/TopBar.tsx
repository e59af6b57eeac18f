// Brand, pages, the daemon's pulse, and what can be done from anywhere.
import { Button, Tooltip } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconCpu, IconFlask2, IconHourglass, IconListDetails, IconUpload, IconWebhook } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, NavLink, useLocation } from 'react-router';

import { useConnection } from '../api/connection';
import { healthQuery, queueQuery } from '../api/queries';
import { Logo } from './Logo';
import { SubmitDialog } from './SubmitDialog';
import { ThemeToggle } from './ThemeToggle';

const PAGES = [
  { to: '/', label: 'Experiments', icon: IconFlask2, under: '/experiments' },
  { to: '/runs', label: 'Runs', icon: IconListDetails, under: '/runs' },
  { to: '/queue', label: 'Queue', icon: IconHourglass, under: '/queue' },
  { to: '/devices', label: 'Devices', icon: IconCpu, under: '/devices' },
  { to: '/webhooks', label: 'Webhooks', icon: IconWebhook, under: '/webhooks' },
];

const LINKS = {
  open: { label: 'Live', hint: 'Connected: this page updates itself', color: 'var(--state-completed)' },
  connecting: { label: 'Connecting', hint: 'Opening the event stream', color: 'var(--state-queued)' },
  lost: { label: 'Offline', hint: 'The daemon does not answer', color: 'var(--state-failed)' },
};

/** Seen from every page: nothing starts, and it is meant so. */
function QueueClosed() {
  const { data } = useQuery(queueQuery(0));
  if (!data || data.mode === 'open') return null;
  return (
    <Tooltip label={`Nothing new starts${data.reason ? `: ${data.reason}` : ''}`}>
      <Link to="/queue" className="queue-closed">
        {data.mode === 'held' ? 'On hold' : 'Drained'}
      </Link>
    </Tooltip>
  );
}

function Pulse() {
  const { data } = useQuery(healthQuery);
  const link = LINKS[useConnection()];
  const live = (data?.runs['running'] ?? 0) + (data?.runs['starting'] ?? 0) + (data?.runs['stopping'] ?? 0);
  return (
    <div className="pulse num">
      {data && (
        <>
          <span className="pulse-extra">
            <b>{live}</b> running
          </span>
          <span className="pulse-extra">
            <b>{data.runs['queued'] ?? 0}</b> queued
          </span>
          <span className="pulse-extra">
            <b>
              {data.devices.free}/{data.devices.total}
            </b>{' '}
            devices free
          </span>
        </>
      )}
      <Tooltip label={data ? `${link.hint} · moelab ${data.version}` : link.hint}>
        <span tabIndex={0} style={{ display: 'inline-flex', alignItems: 'center', gap: 7 }} data-testid="connection">
          <span className="dot" style={{ background: link.color }} />
          {link.label}
        </span>
      </Tooltip>
    </div>
  );
}

export function TopBar() {
  const { pathname } = useLocation();
  const [submitting, { open, close }] = useDisclosure(false);
  return (
    <header className="topbar">
      <div className="topbar-inner">
        <Link to="/" className="brand" aria-label="Moelab, experiments">
          <Logo />
          <span>Moelab</span>
        </Link>
        <nav aria-label="Pages" style={{ display: 'flex', gap: 4, marginRight: 'auto' }}>
          {PAGES.map(({ to, label, icon: IconShown, under }) => {
            const active = pathname === to || pathname.startsWith(under);
            return (
              <NavLink key={to} to={to} end className={`nav-link${active ? ' active' : ''}`} aria-label={label} aria-current={active ? 'page' : undefined}>
                <IconShown size={17} stroke={1.8} />
                <span>{label}</span>
              </NavLink>
            );
          })}
        </nav>
        <QueueClosed />
        <Pulse />
        <Button className="submit-button" aria-label="Submit" leftSection={<IconUpload size={16} />} onClick={open} variant="light">
          Submit
        </Button>
        <ThemeToggle />
      </div>
      <SubmitDialog opened={submitting} close={close} />
    </header>
  );
}
