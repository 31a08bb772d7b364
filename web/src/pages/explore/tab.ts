import type { ExploreSearch } from "../../router";

/** What every tab of Explore gets: the URL's state, how to change it, and the time range. */
export interface TabProps {
  s: ExploreSearch;
  go: (s: ExploreSearch) => void;
  span: { from: string; to: string };
  now: number;
}
