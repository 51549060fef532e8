// Addresses of these pages; each page is loaded when it is first opened. (/metrics is the server's own.)
import { lazy } from 'react';
import type { RouteObject } from 'react-router-dom';
import { helpOn } from '../../help/topic';

const Metrics = lazy(() => import('./Metrics'));
const Targets = lazy(() => import('./Targets'));

export const metricsRoutes: RouteObject[] = [
  { path: '/monitoring', element: <Metrics />, handle: helpOn('metrics.ask') },
  { path: '/monitoring/targets', element: <Targets />, handle: helpOn('metrics.what-is-scraped') },
];
