// Addresses and their pages. Each page is a file of its own, loaded when it is first opened.
import { lazy } from 'react';
import { createBrowserRouter, Navigate, RouterProvider } from 'react-router-dom';
import { accountRoutes } from '../pages/account/routes';
import { adminRoutes } from '../pages/admin/routes';
import { dataRoutes } from '../pages/data/routes';
import { imagesRoutes } from '../pages/images/routes';
import { jobsRoutes } from '../pages/jobs/routes';
import { Frame } from './Frame';
import { NotFound } from './NotFound';
import { useProjectName } from './project';
import { SessionProvider } from './session';

const Overview = lazy(() => import('../pages/overview/Overview'));

/** /jobs -> /p/<project>/jobs */
function InProject({ section }: { section: string }) {
  const project = useProjectName();
  return <Navigate replace to={project ? `/p/${encodeURIComponent(project)}/${section}` : '/overview'} />;
}

const router = createBrowserRouter(
  [
    {
      element: (
        <SessionProvider>
          <Frame />
        </SessionProvider>
      ),
      children: [
        { path: '/', element: <Navigate replace to="/overview" /> },
        { path: '/overview', element: <Overview /> },
        { path: '/jobs', element: <InProject section="jobs" /> },
        { path: '/data', element: <InProject section="data" /> },
        { path: '/images', element: <InProject section="images" /> },
        ...jobsRoutes,
        ...dataRoutes,
        ...imagesRoutes,
        ...adminRoutes,
        ...accountRoutes,
        { path: '*', element: <NotFound /> },
      ],
    },
  ],
  { basename: '/ui' },
);

export function App() {
  return <RouterProvider router={router} future={{ v7_startTransition: true }} />;
}
