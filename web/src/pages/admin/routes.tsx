// Addresses of these pages; each page is loaded when it is first opened.
import { lazy } from 'react';
import { Navigate, type RouteObject } from 'react-router-dom';

const AdminFrame = lazy(() => import('./AdminFrame'));
const Users = lazy(() => import('./Users'));
const Projects = lazy(() => import('./Projects'));
const Replication = lazy(() => import('./Replication'));
const Permissions = lazy(() => import('./Permissions'));
const Audit = lazy(() => import('./Audit'));
const Health = lazy(() => import('./Health'));
const Nodes = lazy(() => import('./Nodes'));
const Settings = lazy(() => import('./Settings'));
const ProjectSettings = lazy(() => import('./ProjectSettings'));

export const adminRoutes: RouteObject[] = [
  {
    path: '/admin',
    element: <AdminFrame />,
    children: [
      { index: true, element: <Navigate replace to="/admin/users" /> },
      { path: 'users', element: <Users /> },
      { path: 'projects', element: <Projects /> },
      { path: 'replication', element: <Replication /> },
      { path: 'permissions', element: <Permissions /> },
      { path: 'audit', element: <Audit /> },
      { path: 'health', element: <Health /> },
      { path: 'nodes', element: <Nodes /> },
      { path: 'settings', element: <Settings /> },
    ],
  },
  { path: '/p/:project/settings', element: <ProjectSettings /> },
];
