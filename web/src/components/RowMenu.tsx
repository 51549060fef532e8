// The menu of a row. A list has many rows: what opens it is a plain button, and the menu is made when it is first asked for.
import { MoreOutlined } from '@ant-design/icons';
import { Dropdown, type MenuProps } from 'antd';
import { startTransition, useState } from 'react';

export function RowMenu({ label, menu }: { label: string; menu: () => MenuProps }) {
  const [open, setOpen] = useState<boolean | null>(null); // null: never asked for
  const button = (
    <button
      type="button"
      className="row-menu"
      aria-label={label}
      aria-haspopup="menu"
      aria-expanded={open === true}
      onClick={open === null ? () => startTransition(() => setOpen(true)) : undefined}
    >
      <MoreOutlined aria-hidden />
    </button>
  );
  return open === null ? (
    button
  ) : (
    <Dropdown open={open} onOpenChange={setOpen} trigger={['click']} menu={menu()} placement="bottomRight" autoFocus>
      {button}
    </Dropdown>
  );
}
