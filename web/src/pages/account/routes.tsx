// Addresses of these pages; each page is loaded when it is first opened.
import { lazy } from 'react';
import type { RouteObject } from 'react-router-dom';
import { helpOn } from '../../help/topic';

const Account = lazy(() => import('./Account'));

export const accountRoutes: RouteObject[] = [{ path: '/account', element: <Account />, handle: helpOn('account.tokens') }];
