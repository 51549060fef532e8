// A page that fails must not take the frame with it.
import { Component, type ReactNode } from 'react';
import { ErrorView } from '../components/ErrorView';

export class CrashGuard extends Component<{ children: ReactNode }, { error: unknown }> {
  override state = { error: null as unknown };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    return this.state.error ? (
      <ErrorView error={this.state.error} retry={() => location.reload()} />
    ) : (
      this.props.children
    );
  }
}
