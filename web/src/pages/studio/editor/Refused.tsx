// Why a connection that was drawn cannot be, and what would make it work.
import { Alert, Button, Flex } from 'antd';
import { useServerText, useText } from '../../../i18n';
import { putBetween } from '../graph/connections';
import { useEditor, useEditorStore } from './store';

export function Refused() {
  const t = useText();
  const say = useServerText();
  const editor = useEditorStore();
  const refused = useEditor((e) => e.refused);
  if (!refused) {
    return null;
  }
  const { edge, refusal } = refused;
  const type = (name: string) => t(`studio.type_${name as 'table'}`);
  const why =
    refusal.why === 'type'
      ? t('studio.refused_type', { from: type(refusal.from), source: `${edge.source}.${edge.sourcePort}`, to: type(refusal.to), target: `${edge.target}.${edge.targetPort}` })
      : refusal.why === 'cycle'
        ? t('studio.refused_cycle', { from: edge.source, to: edge.target })
        : t(refusal.why === 'itself' ? 'studio.refused_itself' : 'studio.refused_unknown');
  const mend = (module: string) => {
    const mended = putBetween(editor.doc, editor.modules, edge, module);
    if (mended) {
      editor.apply(mended[0]);
      editor.select([mended[1]]);
    }
  };
  return (
    <Alert
      className="refused"
      type="warning"
      showIcon
      role="alert"
      title={why}
      closable={{ onClose: () => editor.forgetRefusal(), 'aria-label': t('action.close') }}
      description={
        refusal.why === 'type' && refusal.between.length > 0 ? (
          <Flex gap={8} wrap>
            {refusal.between.map((m) => (
              <Button key={m.name} size="small" onClick={() => mend(m.name)}>
                {t('studio.put_between', { name: say(m.title ?? m.name) })}
              </Button>
            ))}
          </Flex>
        ) : undefined
      }
    />
  );
}
