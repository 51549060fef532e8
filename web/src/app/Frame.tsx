// The frame around every page: navigation by task, project, search, whether what one sees is live.
import {
  ApartmentOutlined,
  AppstoreOutlined,
  ControlOutlined,
  DatabaseOutlined,
  DashboardOutlined,
  LineChartOutlined,
  MenuOutlined,
  PlayCircleOutlined,
  SettingOutlined,
} from '@ant-design/icons';
import { Button, Drawer, Flex, Layout, Menu, Tooltip } from 'antd';
import { Suspense, useEffect, useState, useSyncExternalStore, type ReactNode } from 'react';
import { Link, Outlet, useLocation, useNavigate } from 'react-router-dom';
import { live } from '../api/live';
import { HelpButton } from '../help/HelpButton';
import { useText, type Key } from '../i18n';
import { UploadsDock } from '../uploads/UploadsDock';
import { CrashGuard } from './CrashGuard';
import { useKeys } from './keys';
import { Mark } from './Mark';
import { AppearanceMenu, LanguageMenu, UserMenu } from './menus';
import { NotFound } from './NotFound';
import { ProjectSwitcher, useGoneProject, useProjectName } from './project';
import { Search } from './Search';
import { useSession } from './session';

interface Item {
  key: string;
  label: Key;
  icon: ReactNode;
  to: (project: string | null) => string;
  permission?: string; // of the project
  letter?: string; // after "g"
  adminOnly?: boolean;
}

/** Navigation by what a user wants to do; what a role may not do is not there. */
export const NAVIGATION: Item[] = [
  { key: 'overview', letter: 'o', label: 'nav.overview', icon: <DashboardOutlined />, to: () => '/overview' },
  { key: 'jobs', letter: 'j', label: 'nav.jobs', icon: <PlayCircleOutlined />, to: (p) => (p ? `/p/${p}/jobs` : '/jobs'), permission: 'job:read' },
  { key: 'pipelines', letter: 'p', label: 'nav.pipelines', icon: <ApartmentOutlined />, to: (p) => (p ? `/p/${p}/pipelines` : '/pipelines'), permission: 'pipeline:read' },
  { key: 'data', letter: 'd', label: 'nav.data', icon: <DatabaseOutlined />, to: (p) => (p ? `/p/${p}/data` : '/data'), permission: 'volume:read' },
  { key: 'images', letter: 'i', label: 'nav.images', icon: <AppstoreOutlined />, to: (p) => (p ? `/p/${p}/images` : '/images'), permission: 'image:pull' },
  { key: 'monitoring', letter: 'm', label: 'metrics.title', icon: <LineChartOutlined />, to: () => '/monitoring' },
  { key: 'settings', label: 'admin.project_settings', icon: <ControlOutlined />, to: (p) => (p ? `/p/${p}/settings` : '/overview'), permission: 'project:read' },
  { key: 'admin', label: 'nav.admin', icon: <SettingOutlined />, to: () => '/admin', adminOnly: true },
];

function useItems() {
  const project = useProjectName();
  const { me, may } = useSession();
  return NAVIGATION.filter(
    (i) => (!i.adminOnly || me.is_admin) && (!i.permission || !project || may(i.permission, project)),
  ).map((i) => ({ ...i, path: i.to(project) }));
}

/** Pages about images whose address is not below theirs: a repository may have any name. */
const BESIDE_IMAGES = ['image-rules', 'labels', 'trash'];

function Navigation({ onChoose }: { onChoose?: () => void }) {
  const t = useText();
  const items = useItems();
  const parts = useLocation().pathname.split('/');
  const page = parts[1] === 'p' ? (parts[3] ?? 'overview') : (parts[1] ?? '');
  const here = BESIDE_IMAGES.includes(page) ? 'images' : page === 'runs' ? 'pipelines' : page;
  return (
    <nav aria-label={t('nav.main')}>
      <Menu
        mode="inline"
        selectedKeys={[here]}
        onClick={onChoose}
        items={items.map((i) => ({ key: i.key, icon: i.icon, label: <Link to={i.path}>{t(i.label)}</Link> }))}
      />
    </nav>
  );
}

function LiveDot() {
  const t = useText();
  const state = useSyncExternalStore(
    (changed) => live.onState(changed),
    () => live.state,
  );
  return (
    <Tooltip title={t(`live.${state}`)}>
      <span className={`live live-${state}`} role="status" aria-label={t(`live.${state}`)}>
        <span className="wide-only">{state === 'live' ? t('live.live') : ''}</span>
      </span>
    </Tooltip>
  );
}

function StaleBanner() {
  const t = useText();
  const state = useSyncExternalStore(
    (changed) => live.onState(changed),
    () => live.state,
  );
  return state === 'stale' ? (
    <div className="stale" role="alert">
      {t('live.stale')}
    </div>
  ) : null;
}

export function Frame() {
  const t = useText();
  const [menuOpen, setMenuOpen] = useState(false);
  const { pathname, search } = useLocation();
  const gone = useGoneProject();
  const navigate = useNavigate();
  const items = useItems();
  useKeys(Object.fromEntries(items.flatMap((i) => (i.letter ? [[`g ${i.letter}`, () => navigate(i.path)]] : []))));
  useEffect(() => setMenuOpen(false), [pathname]);
  return (
    <Layout className="frame">
      <a className="skip" href="#content">
        {t('nav.skip')}
      </a>
      <Layout.Header className="top">
        <Button className="narrow-only" type="text" icon={<MenuOutlined />} aria-label={t('nav.menu')} onClick={() => setMenuOpen(true)} />
        <Link to="/overview" className="home" aria-label="Strata">
          <Mark />
        </Link>
        <ProjectSwitcher />
        <Search />
        <Flex className="top-right" align="center">
          <LiveDot />
          <HelpButton />
          <LanguageMenu />
          <AppearanceMenu />
          <UserMenu />
        </Flex>
      </Layout.Header>
      <StaleBanner />
      <Layout>
        <Layout.Sider width={208} className="side wide-only" theme="light">
          <Navigation />
        </Layout.Sider>
        <Drawer open={menuOpen} onClose={() => setMenuOpen(false)} placement="left" size={260} title={<Mark />}>
          <Navigation onChoose={() => setMenuOpen(false)} />
        </Drawer>
        <Layout.Content id="content" className="content" tabIndex={-1} role="main" data-shows={pathname + search}>
          <CrashGuard key={pathname}>
            <Suspense fallback={<div className="page-wait" aria-busy="true" />}>
              {gone ? <NotFound project={gone} /> : <Outlet />}
            </Suspense>
          </CrashGuard>
        </Layout.Content>
      </Layout>
      <UploadsDock />
    </Layout>
  );
}
