// Addresses of these pages; each page is loaded when it is first opened.
import { lazy } from 'react';
import type { RouteObject } from 'react-router-dom';

const JobList = lazy(() => import('./JobList'));
const NewJob = lazy(() => import('./NewJob'));
const JobPage = lazy(() => import('./JobPage'));

export const jobsRoutes: RouteObject[] = [
  { path: '/p/:project/jobs', element: <JobList /> },
  { path: '/p/:project/jobs/new', element: <NewJob /> },
  { path: '/p/:project/jobs/:id', element: <JobPage /> },
];
