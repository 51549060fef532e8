// The project one works in: part of the address, remembered for the pages that have none.
import { PlusOutlined } from '@ant-design/icons';
import { App, Button, Checkbox, Form, Input, Modal, Select, Tag } from 'antd';
import { useEffect, useState } from 'react';
import { useLocation, useNavigate } from 'react-router-dom';
import { logoUrl } from '../api/admin';
import { ApiError, api, type Page } from '../api/client';
import { queryClient, useGet, useProjects } from '../api/queries';
import type { Project, RemoteRegistry } from '../api/types';
import { filterText } from '../components/FilterBox';
import { useText } from '../i18n';
import { useSession } from './session';

const STORED = 'strata.project';

function projectOf(pathname: string): string | null {
  const m = /^\/p\/([^/]+)/.exec(pathname);
  return m?.[1] ? decodeURIComponent(m[1]) : null;
}

/** The project of the address when it is none, or none of this user's any more. */
export function useGoneProject(): string | null {
  const here = projectOf(useLocation().pathname);
  const all = useProjects().data;
  return here && all?.next === null && !all.items.some((p) => p.name === here) ? here : null;
}

/** The project of the address, else the one used last, else the first; null: there is none. */
export function useProjectName(): string | null {
  const gone = useGoneProject();
  const address = projectOf(useLocation().pathname);
  const here = gone ? null : address;
  const projects = useProjects().data?.items;
  useEffect(() => {
    if (here) {
      localStorage.setItem(STORED, here);
    }
  }, [here]);
  if (here) {
    return here;
  }
  const last = localStorage.getItem(STORED);
  const known = projects ?? [];
  return known.find((p) => p.name === last)?.name ?? known.find((p) => p.role && p.role !== 'anonymous')?.name ?? known[0]?.name ?? null;
}

/** For administrators: which registry the project is a cache of. */
function CacheOf() {
  const t = useText();
  const registries = useGet<Page<RemoteRegistry>>(['replication', 'registries', 'all'], '/api/v1/registries?limit=1000').data?.items ?? [];
  return (
    <Form.Item name="registry" label={t('project.cache_of')} extra={t(registries.length ? 'project.cache_hint' : 'project.cache_none')}>
      <Select allowClear placeholder={t('project.no_cache')} options={registries.map((r) => ({ value: r.name, label: `${r.name} (${r.url})` }))} />
    </Form.Item>
  );
}

/** Beside the name of a project that is a cache. */
export function CacheTag({ project }: { project: Project }) {
  const t = useText();
  return project.proxy ? <Tag>{t('project.cache_tag', { registry: project.proxy.registry })}</Tag> : null;
}

/** Its picture, if it has one; the name stands beside it, so the picture says nothing by itself. */
export function ProjectLogo({ project, size = 20 }: { project: Project; size?: number }) {
  return project.logo ? <img className="project-logo" src={`${logoUrl(project.name)}?v=${project.logo}`} width={size} height={size} alt="" /> : null;
}

export function NewProject({ open, close }: { open: boolean; close: () => void }) {
  const t = useText();
  const navigate = useNavigate();
  const { reload, may } = useSession();
  const { message } = App.useApp();
  const [form] = Form.useForm<{ name: string; public: boolean; description?: string; registry?: string }>();
  const [busy, setBusy] = useState(false);
  const create = async () => {
    const fields = await form.validateFields();
    setBusy(true);
    try {
      const made = await api<Project>('POST', '/api/v1/projects', {
        body: {
          name: fields.name,
          public: Boolean(fields.public),
          description: fields.description ?? '',
          ...(fields.registry ? { proxy: { registry: fields.registry } } : {}),
        },
      });
      await Promise.all([reload(), queryClient.invalidateQueries({ queryKey: ['projects'] })]);
      close();
      form.resetFields();
      navigate(`/p/${made.name}/data`);
    } catch (e) {
      form.setFields([{ name: 'name', errors: [(e as ApiError).message] }]);
      void message.error((e as ApiError).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal
      open={open}
      title={t('project.create_title')}
      okText={t('action.create')}
      cancelText={t('action.cancel')}
      confirmLoading={busy}
      onOk={() => void create()}
      onCancel={close}
      destroyOnHidden
    >
      <Form form={form} layout="vertical" onFinish={() => void create()}>
        <Form.Item name="name" label={t('project.name')} extra={t('project.name_hint')} rules={[{ required: true, message: '' }]}>
          <Input autoFocus autoComplete="off" />
        </Form.Item>
        <Form.Item name="description" label={t('project.description')}>
          <Input.TextArea autoSize={{ minRows: 1, maxRows: 6 }} maxLength={2048} />
        </Form.Item>
        {open && may('system:manage') && <CacheOf />}
        <Form.Item name="public" valuePropName="checked" extra={t('project.public_hint')}>
          <Checkbox>{t('project.public')}</Checkbox>
        </Form.Item>
      </Form>
    </Modal>
  );
}

/** The server looks for them: there may be very many. */
function useProjectsLike(typed: string): Project[] {
  const [q, setQ] = useState('');
  useEffect(() => {
    const timer = setTimeout(() => setQ(filterText(typed.trim())), typed ? 200 : 0);
    return () => clearTimeout(timer);
  }, [typed]);
  const all = useProjects().data?.items ?? [];
  const found = useGet<Page<Project>>(['projects', 'like', q], `/api/v1/projects?limit=100&q=${encodeURIComponent(q)}`, q !== '');
  return q === '' ? all : (found.data?.items ?? all.filter((p) => p.name.includes(q.toLowerCase())));
}

export function ProjectSwitcher() {
  const t = useText();
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const project = useProjectName();
  const { may } = useSession();
  const [typed, setTyped] = useState('');
  const projects = useProjectsLike(typed);
  const [making, setMaking] = useState(false);
  const [open, setOpen] = useState(false);
  const choose = (name: string) => {
    const section = /^\/p\/[^/]+\/([^/]+)/.exec(pathname)?.[1] ?? 'jobs';
    navigate(`/p/${encodeURIComponent(name)}/${section}`);
  };
  return (
    <>
      <Select<string>
        className="project-switcher"
        aria-label={t('project.choose')}
        value={project ?? undefined}
        placeholder={t('project.none')}
        showSearch={{ filterOption: false, onSearch: setTyped }}
        popupMatchSelectWidth={240}
        onChange={choose}
        open={open}
        onOpenChange={(to) => {
          setOpen(to);
          setTyped('');
        }}
        options={projects.map((p) => ({
          value: p.name,
          title: p.name,
          label: (
            <>
              <ProjectLogo project={p} /> {p.name}
            </>
          ),
        }))}
        popupRender={(list) => (
          <>
            {list}
            {may('project:create') && (
              <Button
                type="text"
                block
                icon={<PlusOutlined />}
                onMouseDown={(e) => e.preventDefault()} // the list keeps the focus until it closes
                onClick={() => {
                  setOpen(false);
                  setMaking(true);
                }}
              >
                {t('project.new')}
              </Button>
            )}
          </>
        )}
      />
      <NewProject open={making} close={() => setMaking(false)} />
    </>
  );
}
