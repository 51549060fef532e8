// The way between the pages of administrators.
import { Suspense } from 'react';
import { NavLink, Outlet } from 'react-router-dom';
import { NotFound } from '../../app/NotFound';
import { useSession } from '../../app/session';
import { useText, type Key } from '../../i18n';
import './admin.css';

const PAGES: [string, Key][] = [
  ['users', 'admin.users'],
  ['groups', 'group.groups'],
  ['robots', 'robot.robots'],
  ['projects', 'admin.projects'],
  ['storage', 'store.title'],
  ['replication', 'repl.title'],
  ['permissions', 'admin.permissions'],
  ['audit', 'admin.audit'],
  ['health', 'admin.health'],
  ['nodes', 'admin.nodes'],
  ['settings', 'admin.settings'],
];

export default function AdminFrame() {
  const t = useText();
  const { me } = useSession();
  if (!me.is_admin) {
    return <NotFound />;
  }
  return (
    <>
      <nav className="subnav" aria-label={t('nav.admin')}>
        {PAGES.map(([to, label]) => (
          <NavLink key={to} to={`/admin/${to}`}>
            {t(label)}
          </NavLink>
        ))}
      </nav>
      <Suspense fallback={<div className="page-wait" aria-busy="true" />}>
        <Outlet />
      </Suspense>
    </>
  );
}
