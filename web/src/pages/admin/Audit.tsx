// Who changed what, newest first.
import { DownloadOutlined } from '@ant-design/icons';
import { Button, Dropdown, Input, Select } from 'antd';
import { Link, useSearchParams } from 'react-router-dom';
import { auditUrl, useAudit, type AuditEntry, type AuditFilter } from '../../api/admin';
import { useProjects } from '../../api/queries';
import { ErrorView } from '../../components/ErrorView';
import { dateTime } from '../../components/format';
import { FilterBox } from '../../components/FilterBox';
import { PagedTable } from '../../components/PagedTable';
import { PageHead } from '../../components/PageHead';
import { Ago } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useLanguage, useText } from '../../i18n';
import { auditCommand, filterOf } from './auditText';

function Filters() {
  const t = useText();
  const [project, setProject] = useParam('project');
  const [time, setTime] = useParam('time');
  const [from, setFrom] = useParam('from');
  const [to, setTo] = useParam('to');
  const projects = useProjects().data?.items ?? [];
  return (
    <div className="filters audit-filters" role="search" aria-label={t('admin.audit')}>
      <FilterBox label={t('admin.audit_text')} />
      <FilterBox name="user" label={t('admin.user_name')} />
      <Select
        showSearch
        value={project}
        onChange={setProject}
        aria-label={t('project.choose')}
        popupMatchSelectWidth={false}
        options={[{ value: '', label: t('admin.all_projects') }, ...projects.map((p) => ({ value: p.name, label: p.name }))]}
      />
      <Select
        value={time}
        onChange={setTime}
        aria-label={t('admin.time')}
        popupMatchSelectWidth={false}
        options={[
          { value: '', label: t('admin.time_all') },
          ...(['hour', 'day', 'week', 'month'] as const).map((h) => ({ value: h, label: t(`admin.time_${h}`) })),
          { value: 'days', label: t('admin.time_days') },
        ]}
      />
      {time === 'days' && (
        <>
          <Input type="date" className="date" value={from} aria-label={t('admin.from')} onChange={(e) => setFrom(e.target.value)} />
          <Input type="date" className="date" value={to} aria-label={t('admin.to')} onChange={(e) => setTo(e.target.value)} />
        </>
      )}
    </div>
  );
}

function Status({ status }: { status: number }) {
  const tone = status < 300 ? 'good' : status < 400 ? 'waiting' : 'bad';
  return <span className={`state state-${tone}`}>{status}</span>;
}

function RequestId({ id }: { id: string }) {
  const t = useText();
  const [params] = useSearchParams();
  const others = [...params].filter(([name]) => name !== 'q');
  return (
    <Link className="mono nowrap" to={{ search: new URLSearchParams([...others, ['q', id]]).toString() }} title={t('admin.request_hint')}>
      {id}
    </Link>
  );
}

/** All that the filter means, however many rows: the server streams it. */
function Export({ filter }: { filter: AuditFilter }) {
  const t = useText();
  const items = (['csv', 'ndjson'] as const).map((format) => ({
    key: format,
    label: (
      <a href={auditUrl({ ...filter, format }, '/export')} download>
        {format === 'csv' ? 'CSV' : 'JSON Lines'}
      </a>
    ),
  }));
  return (
    <Dropdown trigger={['click']} menu={{ items }}>
      <Button icon={<DownloadOutlined />}>{t('audit.export')}</Button>
    </Dropdown>
  );
}

export default function Audit() {
  const { language, t } = useLanguage();
  const [params] = useSearchParams();
  const filter = filterOf((name) => params.get(name) ?? '', new Date());
  const audit = useAudit(filter);
  return (
    <>
      <PageHead title={t('admin.audit')} commands={[{ cli: auditCommand(filter), url: auditUrl(filter) }]} actions={
          <>
            <Export filter={filter} />
            <Button onClick={() => void audit.refetch()}>{t('action.refresh')}</Button>
          </>
        } />
      <Filters />
      {audit.error ? (
        <ErrorView error={audit.error} retry={() => void audit.refetch()} />
      ) : (
        <PagedTable<AuditEntry>
          rowKey="id"
          size="small"
          pages={audit}
          minWidth={360}
          locale={{ emptyText: t('admin.audit_none') }}
          columns={[
            { title: t('admin.when'), dataIndex: 'at', width: 130, responsive: ['md'], render: (at: string) => <Ago at={at} /> },
            { title: t('admin.user_name'), dataIndex: 'user', width: 120, responsive: ['md'] },
            {
              title: t('admin.what'),
              key: 'what',
              render: (_, e) => (
                <>
                  <span className="mono break">
                    <strong>{e.method}</strong> {e.path}
                  </span>
                  <div className="secondary narrow-line">
                    {dateTime(e.at, language)} · {e.user} · {e.peer}
                  </div>
                </>
              ),
            },
            { title: t('admin.status'), dataIndex: 'status', width: 76, render: (s: number) => <Status status={s} /> },
            { title: t('admin.peer'), dataIndex: 'peer', width: 130, responsive: ['lg'], render: (p: string) => <span className="mono break">{p}</span> },
            { title: t('admin.request'), dataIndex: 'request_id', width: 190, responsive: ['lg'], render: (id: string) => <RequestId id={id} /> },
          ]}
        />
      )}
    </>
  );
}
