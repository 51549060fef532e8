// Images to and from other registries: rules, what they did, and the registries themselves.
import { PlusOutlined } from '@ant-design/icons';
import { Button, Tabs } from 'antd';
import { useState } from 'react';
import { useRegistries } from '../../api/replication';
import type { RemoteRegistry, ReplicationRule } from '../../api/types';
import { PageHead } from '../../components/PageHead';
import { useParam } from '../../components/useParam';
import { useText } from '../../i18n';
import { RegistriesTable } from './ReplicationRegistries';
import { RegistryDialog, RuleDialog } from './ReplicationDialogs';
import { RulesTable } from './ReplicationRules';
import { RunsTable } from './ReplicationRuns';

type Dialog = { kind: 'rule'; rule: ReplicationRule | null } | { kind: 'registry'; registry: RemoteRegistry | null } | null;

export default function Replication() {
  const t = useText();
  const registries = useRegistries();
  const [tab, setTab] = useParam('tab', 'rules');
  const [dialog, setDialog] = useState<Dialog>(null);
  const close = () => setDialog(null);
  const canRule = registries.items.length > 0;
  return (
    <>
      <PageHead
        title={t('repl.title')}
        commands={[
          { cli: 'strata registry list', url: '/api/v1/registries' },
          { cli: 'strata registry add NAME URL', method: 'POST', url: '/api/v1/registries', body: { name: 'NAME', url: 'URL' } },
          { cli: 'strata replication rule list', url: '/api/v1/replication/rules' },
          { cli: 'strata replication run start RULE', method: 'POST', url: '/api/v1/replication/rules/RULE/run' },
          { cli: 'strata replication run list', url: '/api/v1/replication/runs' },
        ]}
        actions={
          <>
            <Button icon={<PlusOutlined />} type={canRule ? 'default' : 'primary'} onClick={() => setDialog({ kind: 'registry', registry: null })}>
              {t('repl.new_registry')}
            </Button>
            {canRule && (
              <Button icon={<PlusOutlined />} type="primary" onClick={() => setDialog({ kind: 'rule', rule: null })}>
                {t('repl.new_rule')}
              </Button>
            )}
          </>
        }
      />
      <Tabs
        activeKey={tab}
        onChange={setTab}
        items={[
          { key: 'rules', label: t('repl.rules'), children: <RulesTable edit={(rule) => setDialog({ kind: 'rule', rule })} ran={() => setTab('runs')} /> },
          { key: 'runs', label: t('repl.runs'), children: <RunsTable /> },
          { key: 'registries', label: t('repl.registries'), children: <RegistriesTable edit={(registry) => setDialog({ kind: 'registry', registry })} /> },
        ]}
      />
      {dialog?.kind === 'rule' && <RuleDialog rule={dialog.rule} registries={registries.items.map((r) => r.name)} close={close} />}
      {dialog?.kind === 'registry' && <RegistryDialog registry={dialog.registry} close={close} />}
    </>
  );
}
