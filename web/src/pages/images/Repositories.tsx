// The repositories of a project, and for a project without any how to bring the first image.
import { CloudUploadOutlined, DeleteOutlined } from '@ant-design/icons';
import { Button, Card, Flex, Typography } from 'antd';
import { lazy, Suspense, useState, type DragEvent } from 'react';
import { Link, useNavigate, useParams } from 'react-router-dom';
import { filePath, path } from '../../api/client';
import { useRepositories } from '../../api/registry';
import type { Repository } from '../../api/types';
import { useSession } from '../../app/session';
import { Commands } from '../../components/Commands';
import { ErrorView } from '../../components/ErrorView';
import { bytes } from '../../components/format';
import { FilterBox } from '../../components/FilterBox';
import { LinkButton } from '../../components/LinkButton';
import { PagedTable } from '../../components/PagedTable';
import { PageHead } from '../../components/PageHead';
import { Ago } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';
import { pushCommands } from './commands';
import { DeleteRepository } from './DeleteImage';
import { LabelFilter } from './LabelChips';
import './images.css';

const UploadArchive = lazy(() => import('./UploadArchive'));

function HowToPush({ project, isEmpty, upload }: { project: string; isEmpty: boolean; upload: (() => void) | null }) {
  const t = useText();
  const { me } = useSession();
  return (
    <Card title={t(isEmpty ? 'images.none' : 'images.how')} className="how-to-push">
      {isEmpty && <Typography.Paragraph>{t('images.none_hint')}</Typography.Paragraph>}
      {upload && (
        <Typography.Paragraph>
          <Button icon={<CloudUploadOutlined />} onClick={upload}>
            {t('images.upload')}
          </Button>{' '}
          <span className="secondary">{t('images.upload_hint')}</span>
        </Typography.Paragraph>
      )}
      <Commands commands={pushCommands(t, project, me.name)} />
      <Typography.Text type="secondary" className="hint">
        {t('images.login_hint')} <Link to="/account">{t('user.tokens')}</Link>
      </Typography.Text>
    </Card>
  );
}

function RepositoryTable({ project, pages }: { project: string; pages: ReturnType<typeof useRepositories> }) {
  const t = useText();
  const { may } = useSession();
  const mayDelete = may('image:delete', project);
  return (
    <PagedTable<Repository>
      rowKey="name"
      pages={pages}
      locale={{ emptyText: t('list.none_fit') }}
      columns={[
        {
          title: t('images.repository'),
          dataIndex: 'name',
          render: (name: string, r) => (
            <>
              <Link to={`/p/${encodeURIComponent(project)}/images/${filePath(name)}`} className="cell-link">
                {name}
              </Link>
              <div className="secondary narrow-line">{t('images.summary', { tags: r.tags, size: bytes(r.size_bytes) })}</div>
            </>
          ),
        },
        { title: t('images.tags'), dataIndex: 'tags', align: 'right', width: 100, responsive: ['md'] },
        { title: t('images.size'), dataIndex: 'size_bytes', align: 'right', width: 120, responsive: ['md'], render: bytes },
        { title: t('images.updated'), dataIndex: 'updated_at', width: 160, render: (at: string) => <Ago at={at} /> },
        ...(mayDelete
          ? [{ title: <span className="sr-only">{t('action.delete')}</span>, key: 'delete', width: 56, render: (_: unknown, r: Repository) => <DeleteRepository project={project} repository={r} /> }]
          : []),
      ]}
    />
  );
}

export default function Repositories() {
  const t = useText();
  const project = useParams().project ?? '';
  const { may } = useSession();
  const [q] = useParam('q');
  const [label] = useParam('label');
  const repositories = useRepositories(project, q, label);
  const [upload, setUpload] = useState<{ file: File | null } | null>(null);
  const mayPush = may('image:push', project);
  const navigate = useNavigate();
  const trash = `/p/${encodeURIComponent(project)}/trash`;
  const isEmpty = repositories.data !== undefined && repositories.items.length === 0 && q === '' && label === '';
  const drop = (e: DragEvent) => {
    e.preventDefault();
    setUpload({ file: e.dataTransfer.files[0] ?? null });
  };
  return (
    <div onDragOver={mayPush ? (e) => e.preventDefault() : undefined} onDrop={mayPush && !upload ? drop : undefined}>
      <PageHead
        title={t('images.title')}
        commands={[{ cli: `strata image list -p ${project}`, url: path`/api/v1/projects/${project}/repositories` }]}
        actions={
          <>
            <LinkButton to={`/p/${encodeURIComponent(project)}/labels`}>{t('labels.title')}</LinkButton>
            {may('member:read', project) && <LinkButton to={`/p/${encodeURIComponent(project)}/image-rules`}>{t('rules.title')}</LinkButton>}
            {may('image:delete', project) && (
              <Button icon={<DeleteOutlined />} href={`/ui${trash}`} onClick={(e) => (e.preventDefault(), navigate(trash))}>
                {t('images.trash')}
              </Button>
            )}
            {mayPush && (
              <Button type="primary" icon={<CloudUploadOutlined />} onClick={() => setUpload({ file: null })}>
                {t('images.upload')}
              </Button>
            )}
          </>
        }
      />
      <Flex vertical gap={16}>
        {repositories.error && <ErrorView error={repositories.error} retry={() => void repositories.refetch()} />}
        {!isEmpty && !repositories.error && (
          <>
            <Flex gap={8} wrap>
              <FilterBox label={t('images.filter')} />
              <LabelFilter project={project} />
            </Flex>
            <RepositoryTable project={project} pages={repositories} />
          </>
        )}
        {mayPush && (isEmpty || repositories.items.length > 0) && (
          <HowToPush project={project} isEmpty={isEmpty} upload={isEmpty ? () => setUpload({ file: null }) : null} />
        )}
        {!mayPush && isEmpty && <Card>{t('images.none_guest')}</Card>}
      </Flex>
      {upload && (
        <Suspense>
          <UploadArchive project={project} file={upload.file} close={() => setUpload(null)} />
        </Suspense>
      )}
    </div>
  );
}
