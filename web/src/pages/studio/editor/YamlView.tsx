// The pipeline as text: to read, to copy, and to write where one prefers that.
import { Alert, Button, Flex, Input } from 'antd';
import { useEffect, useState } from 'react';
import { useText } from '../../../i18n';
import { placed } from '../graph/layout';
import { readYaml, writeYaml, type Wrong } from '../graph/yaml';
import { heightIn } from './heights';
import { useEditor, useEditorStore } from './store';

export function useWrong(): (wrong: Wrong, where: string) => string {
  const t = useText();
  return (wrong, where) => t(`studio.yaml_${wrong}`, { where });
}

export function YamlView() {
  const t = useText();
  const say = useWrong();
  const editor = useEditorStore();
  const doc = useEditor((e) => e.doc);
  const [text, setText] = useState(() => writeYaml(doc));
  const [wrong, setWrong] = useState('');
  useEffect(() => setText(writeYaml(doc)), [doc]);
  const take = () => {
    const read = readYaml(text);
    if ('wrong' in read) {
      setWrong(say(read.wrong, read.where));
    } else {
      setWrong('');
      editor.apply(placed(read.doc, heightIn(editor.modules)));
    }
  };
  return (
    <Flex vertical gap={10}>
      {wrong && <Alert role="alert" type="error" showIcon title={wrong} />}
      <Input.TextArea className="mono yaml-text" spellCheck={false} aria-label={t('studio.as_yaml')} readOnly={editor.readOnly} value={text} onChange={(e) => setText(e.target.value)} autoSize={{ minRows: 18, maxRows: 60 }} />
      {!editor.readOnly && (
        <Button className="self-start" onClick={take} disabled={text === writeYaml(doc)}>
          {t('studio.yaml_take')}
        </Button>
      )}
    </Flex>
  );
}
