// Addresses of these pages; each page is loaded when it is first opened.
import { lazy } from 'react';
import type { RouteObject } from 'react-router-dom';

const Repositories = lazy(() => import('./Repositories'));
const Repository = lazy(() => import('./Repository'));

export const imagesRoutes: RouteObject[] = [
  { path: '/p/:project/images', element: <Repositories /> },
  { path: '/p/:project/images/*', element: <Repository /> }, // names have slashes; ?tag= shows one image
];
