// The filter of a list: what is typed goes into the address when typing rests, and from there to the server.
import { SearchOutlined } from '@ant-design/icons';
import { Input } from 'antd';
import { useTypedParam } from './useParam';

const MAX_BYTES = 200; // what the server takes

/** As much of it as the server takes. */
export function filterText(typed: string): string {
  let text = typed;
  while (new TextEncoder().encode(text).length > MAX_BYTES) {
    text = text.slice(0, -1);
  }
  return text;
}

export function FilterBox({ label, name = 'q', className = 'filter' }: { label: string; name?: string; className?: string }) {
  const [typed, setTyped] = useTypedParam(name);
  return (
    <Input
      className={className}
      allowClear
      prefix={<SearchOutlined aria-hidden />}
      value={typed}
      placeholder={label}
      aria-label={label}
      onChange={(e) => setTyped(filterText(e.target.value))}
    />
  );
}
