// Addresses of these pages; each page is loaded when it is first opened.
import { lazy } from 'react';
import type { RouteObject } from 'react-router-dom';
import { helpOn } from '../../help/topic';

const Repositories = lazy(() => import('./Repositories'));
const Labels = lazy(() => import('./Labels'));
const Trash = lazy(() => import('./Trash'));
const ImageRules = lazy(() => import('./rules/ImageRules'));
const Repository = lazy(() => import('./Repository'));

const RULES_HELP = helpOn({ by: 'tab', of: { '': 'images.storage', retention: 'images.retention', immutable: 'images.immutable-tags', webhooks: 'images.webhooks' } });

export const imagesRoutes: RouteObject[] = [
  { path: '/p/:project/images', element: <Repositories />, handle: helpOn('images.bring-an-image') },
  { path: '/p/:project/trash', element: <Trash />, handle: helpOn('images.trash') }, // beside the images: a repository may have any name
  { path: '/p/:project/labels', element: <Labels />, handle: helpOn('images.labels') },
  { path: '/p/:project/images/*', element: <Repository />, handle: helpOn('images.look-into-an-image') }, // names have slashes; ?tag= shows one image
  { path: '/p/:project/image-rules', element: <ImageRules />, handle: RULES_HELP },
];
