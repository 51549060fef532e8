// Addresses of these pages; each page is loaded when it is first opened.
import { lazy } from 'react';
import type { RouteObject } from 'react-router-dom';
import { helpOn } from '../../help/topic';

const Pipelines = lazy(() => import('./Pipelines'));
const EditorPage = lazy(() => import('./EditorPage'));
const Versions = lazy(() => import('./Versions'));
const Runs = lazy(() => import('./Runs'));
const RunPage = lazy(() => import('./RunPage'));
const Compare = lazy(() => import('./Compare'));

export const studioRoutes: RouteObject[] = [
  { path: '/p/:project/pipelines', element: <Pipelines />, handle: helpOn('studio.your-first-pipeline') },
  { path: '/p/:project/pipelines/:name', element: <EditorPage />, handle: helpOn('studio.the-editor') },
  { path: '/p/:project/pipelines/:name/versions', element: <Versions />, handle: helpOn('studio.versions') },
  { path: '/p/:project/runs', element: <Runs />, handle: helpOn('studio.runs') },
  { path: '/p/:project/runs/compare', element: <Compare />, handle: helpOn('studio.compare-two-runs') },
  { path: '/p/:project/runs/:id', element: <RunPage />, handle: helpOn('studio.runs') },
];
