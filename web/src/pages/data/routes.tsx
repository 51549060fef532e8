// Addresses of these pages; each page is loaded when it is first opened.
import { lazy } from 'react';
import type { RouteObject } from 'react-router-dom';
import { helpOn } from '../../help/topic';

const Volumes = lazy(() => import('./Volumes'));
const Browser = lazy(() => import('./Browser'));

export const dataRoutes: RouteObject[] = [
  { path: '/p/:project/data', element: <Volumes />, handle: helpOn('data.volumes') },
  { path: '/p/:project/data/:volume/*', element: <Browser />, handle: helpOn({ by: 'preview', of: { '': 'data.upload', '*': 'data.look-at-files' } }) },
];
