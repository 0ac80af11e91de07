import { solve } from "./puzzle";

onmessage = ({ data: { ticket, difficulty } }: MessageEvent<{ ticket: string; difficulty: number }>) => {
  postMessage({ solution: solve(ticket, difficulty, (attempts) => postMessage({ attempts })) });
};
