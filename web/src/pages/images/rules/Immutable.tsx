// Tags that nobody may push again or delete.
import { PlusOutlined } from '@ant-design/icons';
import { Button, Card, Skeleton, Typography } from 'antd';
import { useState } from 'react';
import { usePolicy } from '../../../api/imageRules';
import type { ImmutableRule } from '../../../api/types';
import { ErrorView } from '../../../components/ErrorView';
import { useText } from '../../../i18n';
import { ImmutableDialog } from './RuleDialogs';
import { RulesTable } from './RulesTable';

export function Immutable({ project, mayManage }: { project: string; mayManage: boolean }) {
  const t = useText();
  const policy = usePolicy(project);
  const [asked, setAsked] = useState<{ rule: ImmutableRule | null } | null>(null);
  if (policy.error) {
    return <ErrorView error={policy.error} retry={() => void policy.refetch()} />;
  }
  return (
    <Card
      title={t('rules.immutable')}
      extra={
        mayManage && (
          <Button icon={<PlusOutlined />} onClick={() => setAsked({ rule: null })}>
            {t('rules.new')}
          </Button>
        )
      }
    >
      <Typography.Paragraph type="secondary">{t('rules.immutable_hint')}</Typography.Paragraph>
      {policy.data ? (
        <RulesTable<ImmutableRule>
          project={project}
          rules={policy.data.immutable}
          empty={t('rules.no_immutable')}
          without={(p, id) => ({ ...p, immutable: p.immutable.filter((r) => r.id !== id) })}
          edit={mayManage ? (rule) => setAsked({ rule }) : null}
        />
      ) : (
        <Skeleton active title={false} />
      )}
      {asked && <ImmutableDialog project={project} rule={asked.rule} close={() => setAsked(null)} />}
    </Card>
  );
}
