// Owns the page frame and the map from addresses to pages. Pages that draw load their charts on demand.
import { Skeleton, Stack } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { lazy, Suspense, useEffect, useState } from 'react';
import { createBrowserRouter, Outlet, RouterProvider, useRouteError } from 'react-router';

import { LiveUpdates } from './api/live';
import { ErrorState } from './components/ErrorState';
import { LostBanner } from './components/LostBanner';
import { TopBar } from './components/TopBar';
import { DevicesPage } from './pages/DevicesPage';
import { ExperimentsPage } from './pages/ExperimentsPage';
import { NotFoundPage } from './pages/NotFoundPage';
import { QueuePage } from './pages/QueuePage';
import { WebhooksPage } from './pages/WebhooksPage';
import { RunsPage } from './pages/RunsPage';

const ExperimentPage = lazy(() => import('./pages/ExperimentPage'));
const RunPage = lazy(() => import('./pages/RunPage'));

function PageLoading() {
  return (
    <Stack gap="lg" aria-busy="true" aria-label="Loading">
      <Skeleton h={34} w={320} />
      <Skeleton h={90} radius="lg" />
      <Skeleton h={360} radius="lg" />
    </Stack>
  );
}

function Frame() {
  const client = useQueryClient();
  const [live] = useState(() => new LiveUpdates(client));
  useEffect(() => {
    live.start();
    return () => live.stop();
  }, [live]);
  return (
    <>
      <a className="skip-link" href="#main">
        Skip to content
      </a>
      <TopBar />
      <LostBanner retry={() => live.retryNow()} />
      <main id="main" className="page" tabIndex={-1} style={{ outline: 'none' }}>
        <Suspense fallback={<PageLoading />}>
          <Outlet />
        </Suspense>
      </main>
    </>
  );
}

function Crash() {
  const error = useRouteError();
  return (
    <main className="page">
      <div className="card">
        <ErrorState error={error} title="This page broke" retry={() => window.location.reload()} />
      </div>
    </main>
  );
}

const router = createBrowserRouter([
  {
    element: <Frame />,
    errorElement: <Crash />,
    children: [
      { path: '/', element: <ExperimentsPage /> },
      { path: '/experiments/:id', element: <ExperimentPage /> },
      { path: '/runs', element: <RunsPage /> },
      { path: '/runs/:id', element: <RunPage /> },
      { path: '/queue', element: <QueuePage /> },
      { path: '/devices', element: <DevicesPage /> },
      { path: '/webhooks', element: <WebhooksPage /> },
      { path: '*', element: <NotFoundPage /> },
    ],
  },
]);

export function App() {
  return <RouterProvider router={router} />;
}
