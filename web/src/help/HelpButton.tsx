// The question mark of the frame; what it opens is loaded then.
import { QuestionCircleOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { lazy, Suspense, useState } from 'react';
import { useKeys } from '../app/keys';
import { useText } from '../i18n';
import { HERE, useHelp } from './useHelp';

const HelpDrawer = lazy(() => import('./HelpDrawer'));

export function HelpButton() {
  const t = useText();
  const { topic, open } = useHelp();
  const [wasOpen, setWasOpen] = useState(false); // stays mounted, so that it can slide away
  if (topic && !wasOpen) {
    setWasOpen(true);
  }
  const toggle = () => open(topic ? '' : HERE);
  useKeys({ '?': toggle });
  return (
    <>
      <Button type="text" icon={<QuestionCircleOutlined />} aria-label={t('help.title')} aria-expanded={topic !== ''} onClick={toggle} />
      {wasOpen && (
        <Suspense fallback={null}>
          <HelpDrawer />
        </Suspense>
      )}
    </>
  );
}
