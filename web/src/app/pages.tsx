// Addresses and their pages. Each page is a file of its own, loaded when it is first opened; its handle names its help.
import { lazy } from 'react';
import { Navigate, type RouteObject } from 'react-router-dom';
import { helpOn } from '../help/topic';
import { accountRoutes } from '../pages/account/routes';
import { adminRoutes } from '../pages/admin/routes';
import { dataRoutes } from '../pages/data/routes';
import { imagesRoutes } from '../pages/images/routes';
import { jobsRoutes } from '../pages/jobs/routes';
import { metricsRoutes } from '../pages/metrics/routes';
import { studioRoutes } from '../pages/studio/routes';
import { NotFound } from './NotFound';
import { useProjectName } from './project';

const Overview = lazy(() => import('../pages/overview/Overview'));

/** /jobs -> /p/<project>/jobs */
function InProject({ section }: { section: string }) {
  const project = useProjectName();
  return <Navigate replace to={project ? `/p/${encodeURIComponent(project)}/${section}` : '/overview'} />;
}

export const pages: RouteObject[] = [
  { path: '/', element: <Navigate replace to="/overview" /> },
  { path: '/overview', element: <Overview />, handle: helpOn('overview.find-your-way') },
  { path: '/jobs', element: <InProject section="jobs" /> },
  { path: '/pipelines', element: <InProject section="pipelines" /> },
  { path: '/data', element: <InProject section="data" /> },
  { path: '/images', element: <InProject section="images" /> },
  ...jobsRoutes,
  ...dataRoutes,
  ...imagesRoutes,
  ...studioRoutes,
  ...metricsRoutes,
  ...adminRoutes,
  ...accountRoutes,
  { path: '*', element: <NotFound />, handle: helpOn('troubleshooting') },
];
