// The tags of a repository; with ?tag= the image that one of them names.
import { Flex, Tag as Label, Typography } from 'antd';
import { Link, useNavigate, useParams } from 'react-router-dom';
import { filePath } from '../../api/client';
import { repositoryUrl, tagsUrl, useRepository, useTags } from '../../api/registry';
import type { Tag } from '../../api/types';
import { useSession } from '../../app/session';
import { ErrorView } from '../../components/ErrorView';
import { bytes } from '../../components/format';
import { FilterBox } from '../../components/FilterBox';
import { PagedTable } from '../../components/PagedTable';
import { PageHead } from '../../components/PageHead';
import { Ago } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';
import { DeleteRepository, DeleteTag } from './DeleteImage';
import { Digest } from './Digest';
import { LabelChips, LabelFilter } from './LabelChips';
import { TagPage } from './TagPage';
import './images.css';

export function Platforms({ text }: { text: string }) {
  const all = text.split(',').filter(Boolean);
  return all.length === 0 ? (
    <span>–</span>
  ) : (
    <>
      {all.map((p) => (
        <Label key={p}>{p}</Label>
      ))}
    </>
  );
}

function Tags({ project, repository }: { project: string; repository: string }) {
  const t = useText();
  const navigate = useNavigate();
  const { may } = useSession();
  const [q] = useParam('q');
  const [label] = useParam('label');
  const tags = useTags(project, repository, q, label);
  const row = useRepository(project, repository);
  const images = `/p/${encodeURIComponent(project)}/images`;
  const mayDelete = may('image:delete', project);
  const tagUrl = (tag: string) => `${images}/${filePath(repository)}?tag=${encodeURIComponent(tag)}`;
  return (
    <>
      <PageHead
        title={repository}
        crumbs={[{ name: t('images.title'), to: images }, { name: repository }]}
        commands={[
          { cli: `strata image list ${project}/${repository}`, url: tagsUrl(project, repository) },
          { cli: `strata image delete ${project}/${repository} --all`, method: 'DELETE', url: repositoryUrl(project, repository) },
        ]}
        actions={mayDelete && row && <DeleteRepository project={project} repository={row} label done={() => navigate(images)} />}
      />
      {tags.error ? (
        <ErrorView error={tags.error} retry={() => void tags.refetch()} />
      ) : (
        <Flex vertical gap={16}>
          <Flex gap={8} wrap>
            <FilterBox label={t('images.filter_tags')} />
            <LabelFilter project={project} />
          </Flex>
          <PagedTable<Tag>
            rowKey="tag"
            pages={tags}
            columns={[
              {
                title: t('images.tag'),
                dataIndex: 'tag',
                render: (tag: string, r) => (
                  <>
                    <Link to={tagUrl(tag)} className="cell-link">
                      {tag}
                    </Link>
                    <Typography.Text copyable={{ text: `${location.host}/${project}/${repository}:${tag}`, tooltips: [t('images.copy_reference'), t('action.copied')] }} />
                    {r.labels.length > 0 && (
                      <Flex gap={4} wrap>
                        <LabelChips labels={r.labels} />
                      </Flex>
                    )}
                    <div className="secondary narrow-line">
                      {bytes(r.size_bytes)} · {r.platform}
                    </div>
                  </>
                ),
              },
              { title: t('images.digest'), dataIndex: 'digest', render: (d: string) => <Digest digest={d} />, responsive: ['sm'] },
              { title: t('images.platform'), dataIndex: 'platform', responsive: ['md'], render: (p: string) => <Platforms text={p} /> },
              { title: t('images.size'), dataIndex: 'size_bytes', align: 'right', width: 110, responsive: ['md'], render: bytes },
              { title: t('images.pushed'), dataIndex: 'pushed_at', width: 160, render: (at: string) => <Ago at={at} /> },
              { title: t('images.pulled'), dataIndex: 'pulled_at', width: 160, responsive: ['lg'], render: (at: string | null) => (at ? <Ago at={at} /> : '–') },
              ...(mayDelete
                ? [
                    {
                      title: <span className="sr-only">{t('action.delete')}</span>,
                      key: 'delete',
                      width: 56,
                      render: (_: unknown, tag: Tag) => <DeleteTag project={project} repository={repository} tag={tag} />,
                    },
                  ]
                : []),
            ]}
            locale={{ emptyText: <Typography.Text type="secondary">{t('images.no_tags')}</Typography.Text> }}
          />
        </Flex>
      )}
    </>
  );
}

export default function Repository() {
  const params = useParams();
  const project = params.project ?? '';
  const repository = params['*'] ?? '';
  const [tag] = useParam('tag');
  return tag ? <TagPage project={project} repository={repository} tag={tag} /> : <Tags project={project} repository={repository} />;
}
