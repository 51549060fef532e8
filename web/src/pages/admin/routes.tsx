// Addresses of these pages; each page is loaded when it is first opened.
import type { RouteObject } from 'react-router-dom';

export const adminRoutes: RouteObject[] = [];
