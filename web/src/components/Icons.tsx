// Line icons, 16 px, drawn for Norn.

import type { ReactNode } from "react";

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      {children}
    </svg>
  );
}

export const SearchIcon = () => <Icon><circle cx="7" cy="7" r="4.5" /><path d="m10.5 10.5 3.5 3.5" /></Icon>;
export const SunIcon = () => <Icon><circle cx="8" cy="8" r="3" /><path d="M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1" /></Icon>;
export const MoonIcon = () => <Icon><path d="M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7Z" /></Icon>;
export const AutoIcon = () => <Icon><circle cx="8" cy="8" r="5.8" /><path d="M8 2.2v11.6" /><path d="M8 2.2a5.8 5.8 0 0 1 0 11.6Z" fill="currentColor" /></Icon>;
export const HelpIcon = () => <Icon><circle cx="8" cy="8" r="6" /><path d="M6.3 6.2a1.8 1.8 0 1 1 2.4 1.9c-.5.2-.7.5-.7 1" /><path d="M8 11.4v.1" /></Icon>;
export const LinkIcon = () => <Icon><path d="M6.5 9.5 9.5 6.5M7 4.8l1-1a2.8 2.8 0 0 1 4 4l-1 1M9 11.2l-1 1a2.8 2.8 0 0 1-4-4l1-1" /></Icon>;
export const ChangeIcon = () => <Icon><path d="M3 8h7M7.5 4.5 11 8l-3.5 3.5M13.5 3v10" /></Icon>;
export const BackIcon = () => <Icon><path d="M9.5 3.5 5 8l4.5 4.5" /></Icon>;
export const ForwardIcon = () => <Icon><path d="M6.5 3.5 11 8l-4.5 4.5" /></Icon>;
