// The filter of a list: what is typed goes into the address when typing rests, and from there to the server.
import { SearchOutlined } from '@ant-design/icons';
import { Input } from 'antd';
import { useTypedParam } from './useParam';

const MAX = 200; // what the server takes

export function FilterBox({ label, name = 'q', className = 'filter' }: { label: string; name?: string; className?: string }) {
  const [typed, setTyped] = useTypedParam(name);
  return (
    <Input
      className={className}
      allowClear
      maxLength={MAX}
      prefix={<SearchOutlined aria-hidden />}
      value={typed}
      placeholder={label}
      aria-label={label}
      onChange={(e) => setTyped(e.target.value)}
    />
  );
}
