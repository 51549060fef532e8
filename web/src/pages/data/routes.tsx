// Addresses of these pages; each page is loaded when it is first opened.
import { lazy } from 'react';
import type { RouteObject } from 'react-router-dom';

const Volumes = lazy(() => import('./Volumes'));
const Browser = lazy(() => import('./Browser'));

export const dataRoutes: RouteObject[] = [
  { path: '/p/:project/data', element: <Volumes /> },
  { path: '/p/:project/data/:volume/*', element: <Browser /> },
];
