// Addresses of these pages; each page is loaded when it is first opened.
import { lazy } from 'react';
import type { RouteObject } from 'react-router-dom';
import { helpOn } from '../../help/topic';

const JobList = lazy(() => import('./JobList'));
const NewJob = lazy(() => import('./NewJob'));
const JobPage = lazy(() => import('./JobPage'));

export const jobsRoutes: RouteObject[] = [
  { path: '/p/:project/jobs', element: <JobList />, handle: helpOn('jobs.the-list-of-jobs') },
  { path: '/p/:project/jobs/new', element: <NewJob />, handle: helpOn({ by: 'tab', of: { '': 'jobs.submit-a-job', yaml: 'jobs.every-key-of-a-job' } }) },
  {
    path: '/p/:project/jobs/:id',
    element: <JobPage />,
    handle: helpOn({ by: 'tab', of: { '': 'jobs.how-a-job-ends', log: 'jobs.the-log', spec: 'jobs.every-key-of-a-job', events: 'jobs.the-page-of-a-job' } }),
  },
];
