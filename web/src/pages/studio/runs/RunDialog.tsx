// What a run is started with: the pipeline's run-time parameters, and whether it may take what is there already.
import { Checkbox, Form, Input, Modal } from 'antd';
import { useState } from 'react';
import type { DocParam, RunRequest, Value } from '../../../api/studio';
import { ErrorView } from '../../../components/ErrorView';
import { useSave } from '../../../components/useSave';
import { useText } from '../../../i18n';
import { numberOf } from '../editor/ParamField';

/** As the parameter's type wants it; what is no such value goes as it is, and the server says what is wrong with it. */
export function valueOf(param: DocParam, typed: string): Value | undefined {
  if (typed === '') {
    return undefined;
  }
  return param.type === 'int' || param.type === 'real' ? numberOf(typed) : param.type === 'bool' && /^(true|false)$/.test(typed) ? typed === 'true' : typed;
}

export function ParamInputs({ params, typed, change }: { params: DocParam[]; typed: Record<string, string>; change: (typed: Record<string, string>) => void }) {
  return params.map((p) => (
    <Form.Item key={p.name} label={p.name} htmlFor={`run-${p.name}`} extra={p.help} required={p.default === undefined}>
      <Input id={`run-${p.name}`} value={typed[p.name] ?? ''} placeholder={String(p.default ?? '')} onChange={(e) => change({ ...typed, [p.name]: e.target.value })} />
    </Form.Item>
  ));
}

export function paramsOf(params: DocParam[], typed: Record<string, string>): Record<string, Value> {
  return Object.fromEntries(
    params.flatMap((p) => {
      const value = valueOf(p, typed[p.name] ?? '');
      return value === undefined ? [] : [[p.name, value]];
    }),
  );
}

interface Props {
  title: string;
  params: DocParam[];
  request: RunRequest;
  start: (request: RunRequest) => Promise<unknown>;
  close: () => void;
}

export function RunDialog({ title, params, request, start, close }: Props) {
  const t = useText();
  const [typed, setTyped] = useState<Record<string, string>>({});
  const [cache, setCache] = useState(request.cache !== false);
  const { busy, error, run } = useSave(start, close);
  const submit = () => void run({ ...request, ...(cache ? {} : { cache: false }), ...(params.length > 0 ? { params: paramsOf(params, typed) } : {}) });
  return (
    <Modal open title={title} okText={t('studio.run')} cancelText={t('action.cancel')} confirmLoading={busy} onOk={submit} onCancel={close}>
      <Form layout="vertical" onFinish={submit}>
        {error !== null && <ErrorView error={error} />}
        <ParamInputs params={params} typed={typed} change={setTyped} />
        <Checkbox checked={cache} onChange={(e) => setCache(e.target.checked)}>
          {t('studio.use_cache')}
        </Checkbox>
      </Form>
    </Modal>
  );
}
