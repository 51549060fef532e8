import { createBrowserRouter, RouterProvider } from 'react-router-dom';
import { Frame } from './Frame';
import { pages } from './pages';
import { SessionProvider } from './session';

const router = createBrowserRouter(
  [
    {
      element: (
        <SessionProvider>
          <Frame />
        </SessionProvider>
      ),
      children: pages,
    },
  ],
  { basename: '/ui' },
);

export function App() {
  return <RouterProvider router={router} future={{ v7_startTransition: true }} />;
}
