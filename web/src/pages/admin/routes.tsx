// Addresses of these pages; each page is loaded when it is first opened.
import { lazy } from 'react';
import { Navigate, type RouteObject } from 'react-router-dom';
import { helpOn } from '../../help/topic';

const AdminFrame = lazy(() => import('./AdminFrame'));
const Users = lazy(() => import('./Users'));
const Groups = lazy(() => import('./Groups'));
const Robots = lazy(() => import('./Robots'));
const Projects = lazy(() => import('./Projects'));
const Replication = lazy(() => import('./Replication'));
const Storage = lazy(() => import('./Storage'));
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
      { path: 'users', element: <Users />, handle: helpOn('administration.users') },
      { path: 'groups', element: <Groups />, handle: helpOn('administration.groups-of-users') },
      { path: 'robots', element: <Robots />, handle: helpOn('administration.robots') },
      { path: 'projects', element: <Projects />, handle: helpOn('administration.projects') },
      { path: 'storage', element: <Storage />, handle: helpOn('administration.storage-of-images') },
      { path: 'replication', element: <Replication />, handle: helpOn('administration.other-registries') },
      { path: 'permissions', element: <Permissions />, handle: helpOn('administration.roles') },
      { path: 'audit', element: <Audit />, handle: helpOn('administration.audit-log') },
      { path: 'health', element: <Health />, handle: helpOn('administration.health') },
      { path: 'nodes', element: <Nodes />, handle: helpOn('administration.nodes') },
      { path: 'settings', element: <Settings />, handle: helpOn('administration.settings') },
    ],
  },
  { path: '/p/:project/settings', element: <ProjectSettings />, handle: helpOn('administration.members-of-a-project') },
];
