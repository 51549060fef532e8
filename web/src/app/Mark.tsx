// The mark of Strata: three layers.
export function Mark({ size = 28, name = true }: { size?: number; name?: boolean }) {
  return (
    <span className="mark">
      <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
        <rect width="32" height="32" rx="7" fill="#0f3d3e" />
        <path
          d="M5 21.5 16 27l11-5.500M5 16l11 5.500L27 16M16 5 5 10.500 16 16l11-5.500z"
          fill="none"
          stroke="#7fe3c4"
          strokeWidth="2.400"
          strokeLinejoin="round"
          strokeLinecap="round"
        />
      </svg>
      {name && <span className="mark-name">Strata</span>}
    </span>
  );
}
