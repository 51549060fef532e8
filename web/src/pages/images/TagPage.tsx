// One image: its platforms, layers, configuration, and how to get it.
import { Card, Col, Collapse, Flex, Row, Select, Skeleton, Statistic, Typography } from 'antd';
import { lazy, Suspense, type ReactNode } from 'react';
import { useNavigate } from 'react-router-dom';
import { filePath } from '../../api/client';
import { imageLabelsUrl } from '../../api/labels';
import { isImageConfig, repositoryUrl, tagsUrl, useImageConfig, useManifest, useTagsOf, type Descriptor, type StoredManifest } from '../../api/registry';
import { useSession } from '../../app/session';
import { Commands } from '../../components/Commands';
import { ErrorView } from '../../components/ErrorView';
import { bytes } from '../../components/format';
import { PageHead } from '../../components/PageHead';
import { Ago } from '../../components/time';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';
import { pullCommands } from './commands';
import { ConfigFacts } from './ConfigFacts';
import { DeleteTag } from './DeleteImage';
import { Digest } from './Digest';
import { ImageLabels } from './LabelChips';
import { Layers } from './Layers';

// The image is looked at first.
const Trust = lazy(() => import('./Trust').then((m) => ({ default: m.Trust })));
const Known = lazy(() => import('./Trust').then((m) => ({ default: m.Known })));

interface Where {
  project: string;
  repository: string;
}

const platformOf = (d: Descriptor) => [d.platform?.os, d.platform?.architecture, d.platform?.variant].filter(Boolean).join('/');
/** Provenance and SBOMs that builders put beside the images. */
const isAbout = (d: Descriptor) => d.platform?.os === 'unknown' || Boolean(d.annotations?.['vnd.docker.reference.type']);

/** An artifact that is no container image: what it consists of. */
function Parts({ parts }: { parts: Descriptor[] }) {
  return (
    <ul className="plain">
      {parts.map((p) => (
        <li key={p.digest} className="part">
          <span className="grow break">{p.annotations?.['org.opencontainers.image.title'] ?? p.mediaType}</span>
          <span className="secondary nowrap">{bytes(p.size)}</span>
          <Digest digest={p.digest} />
        </li>
      ))}
    </ul>
  );
}

/** What follows the layers comes together with them, and `last` behind it: nothing moves down. */
function Image({ where, stored, last }: { where: Where; stored: StoredManifest; last: ReactNode }) {
  const t = useText();
  const { manifest } = stored;
  const layers = manifest.layers ?? [];
  const config = useImageConfig(where.project, where.repository, manifest.config);
  const total = layers.reduce((s, l) => s + l.size, manifest.config?.size ?? 0);
  const isImage = isImageConfig(manifest.config);
  return (
    <Flex vertical gap={16}>
      <Card>
        <Flex gap="16px 48px" wrap>
          <Statistic title={t('images.total')} value={bytes(total)} />
          <Statistic title={t('images.layers')} value={layers.length} />
          {config.data && <Statistic title={t('images.platform')} value={`${config.data.os ?? ''}/${config.data.architecture ?? ''}`} />}
        </Flex>
      </Card>
      <Card title={t(isImage ? 'images.layers' : 'images.parts')}>
        {config.isLoading ? <Skeleton active title={false} /> : isImage ? <Layers layers={layers} config={config.data} /> : <Parts parts={layers} />}
      </Card>
      {!config.isLoading && (
        <>
          {config.error && <ErrorView error={config.error} retry={() => void config.refetch()} />}
          {config.data && (
            <Card title={t('images.config')}>
              <ConfigFacts image={config.data} />
            </Card>
          )}
          {!isImage && <Typography.Text type="secondary">{t('images.artifact', { type: manifest.artifactType ?? manifest.config?.mediaType ?? '?' })}</Typography.Text>}
          <Raw stored={stored} />
          {last}
        </>
      )}
    </Flex>
  );
}

function Raw({ stored }: { stored: StoredManifest }) {
  const t = useText();
  const text = JSON.stringify(stored.manifest, null, 2);
  return (
    <Collapse
      items={[
        {
          key: 'raw',
          label: t('images.manifest', { type: stored.mediaType }),
          children: (
            <pre className="mono raw" tabIndex={0}>
              {text}
            </pre>
          ),
        },
      ]}
    />
  );
}

function Index({ where, stored, last }: { where: Where; stored: StoredManifest; last: ReactNode }) {
  const t = useText();
  const children = stored.manifest.manifests ?? [];
  const first = children.find((d) => platformOf(d) === 'linux/amd64') ?? children.find((d) => !isAbout(d)) ?? children[0];
  const [chosen, choose] = useParam('platform', first?.digest ?? '');
  const child = useManifest(where.project, where.repository, chosen || null);
  return (
    <Flex vertical gap={16}>
      <Flex gap={8} align="center" wrap>
        <label htmlFor="platform">{t('images.platforms', { n: children.filter((d) => !isAbout(d)).length })}</label>
        <Select
          id="platform"
          className="platform-select"
          value={chosen}
          onChange={choose}
          options={children.map((d) => ({
            value: d.digest,
            label: isAbout(d) ? t('images.attestation', { digest: d.digest.slice(7, 15) }) : platformOf(d) || d.digest.slice(7, 19),
          }))}
        />
      </Flex>
      {child.error ? (
        <>
          <ErrorView error={child.error} />
          {last}
        </>
      ) : child.data ? (
        <Image where={where} stored={child.data} last={last} />
      ) : (
        <Skeleton active />
      )}
    </Flex>
  );
}

export function TagPage({ project, repository, tag }: Where & { tag: string }) {
  const t = useText();
  const navigate = useNavigate();
  const { may } = useSession();
  const stored = useManifest(project, repository, tag);
  const row = useTagsOf(project, repository, stored.data?.digest).data?.find((i) => i.tag === tag);
  const images = `/p/${encodeURIComponent(project)}/images`;
  const up = `${images}/${filePath(repository)}`;
  const where = { project, repository };
  const isRefused = stored.error?.status === 403; // by the project's rules, which say why
  const trust = (
    <Suspense fallback={<Card loading title={t('trust.title')} />}>
      <Trust of={{ ...where, reference: tag }} />
    </Suspense>
  );
  const known = (
    <Suspense fallback={<Card loading title={t('trust.findings')} />}>
      <Known of={{ ...where, reference: tag }} />
    </Suspense>
  );
  return (
    <>
      <PageHead
        title={`${repository}:${tag}`}
        crumbs={[{ name: t('images.title'), to: images }, { name: repository, to: up }, { name: tag }]}
        commands={[
          { cli: `strata image show ${project}/${repository}:${tag}`, url: `/v2/${filePath(`${project}/${repository}`)}/manifests/${encodeURIComponent(tag)}` },
          { cli: `strata image vulnerabilities ${project}/${repository}:${tag}`, url: `${repositoryUrl(project, repository)}/artifacts/${encodeURIComponent(tag)}/vulnerabilities` },
          { cli: `strata image label list ${project}/${repository}:${tag}`, url: imageLabelsUrl({ ...where, reference: tag }) },
          { cli: `strata image delete ${project}/${repository}:${tag}`, method: 'DELETE', url: `${tagsUrl(project, repository)}/${encodeURIComponent(tag)}` },
        ]}
        actions={may('image:delete', project) && row && <DeleteTag {...where} tag={row} label done={() => navigate(up)} />}
        extra={
          stored.data && (
            <Flex gap={12} wrap align="center">
              <Digest digest={stored.data.digest} />
              {row && (
                <span className="secondary">
                  {t('images.pushed')} <Ago at={row.pushed_at} />
                </span>
              )}
              <ImageLabels of={{ ...where, reference: stored.data.digest }} />
            </Flex>
          )
        }
      />
      {stored.error && !isRefused ? (
        <ErrorView error={stored.error} retry={() => void stored.refetch()} />
      ) : (
        <Row gutter={[16, 16]}>
          <Col xs={24} xl={15}>
            <Flex vertical gap={16}>
              {isRefused ? (
                <>
                  {trust}
                  {known}
                </>
              ) : !stored.data ? (
                <Card loading />
              ) : stored.data.manifest.manifests ? (
                <Index where={where} stored={stored.data} last={known} />
              ) : (
                <Image where={where} stored={stored.data} last={known} />
              )}
            </Flex>
          </Col>
          <Col xs={24} xl={9}>
            <Flex vertical gap={16}>
              <Card title={t('images.get')}>
                <Commands commands={pullCommands(t, project, repository, tag)} />
              </Card>
              {!isRefused && trust}
            </Flex>
          </Col>
        </Row>
      )}
    </>
  );
}
