import { defineStore } from "pinia";
import { computed, markRaw } from "vue";
import { Client, anybody, type Bearer } from "@/api/client";
import { isReason } from "@/api/failures";
import { clock } from "@/api/clock";
import type { components } from "@/api/schema";
import { keptRef } from "./kept";

type Answer = components["schemas"]["auth.Session"];

/** Who is signed in, as this browser keeps it. */
export interface Kept {
  user_id: string;
  username: string;
  access_token: string;
  refresh_token: string;
  /** Milliseconds since 1970, by the server. */
  expires_at: number;
}

const EARLY_MS = 15_000;

function keptOf(answer: Answer): Kept {
  const { user_id, username, access_token, refresh_token, expires_in } = answer;
  return { user_id, username, access_token, refresh_token, expires_at: clock.now() + 1000 * expires_in };
}

/** One at a time, over all tabs where the browser can: a refresh token is good once. */
async function alone<T>(name: string, work: () => Promise<T>): Promise<T> {
  return navigator.locks ? navigator.locks.request(name, work) : work();
}

/** A session of its own: players and administrators sign in apart, and may do so in one browser. */
function sessionStore(name: "player" | "admin") {
  return defineStore(`session-${name}`, () => {
    const session = keptRef<Kept | null>(`kuji.session.${name}`, null);
    let renewing: Promise<string | null> | null = null;

    const bearer: Bearer = {
      async token() {
        const now = session.value;
        if (!now) return null;
        const isFresh = now.expires_at - EARLY_MS > clock.now();
        return isFresh ? now.access_token : renew(now.access_token);
      },
      renewed: renew,
    };
    const client = markRaw(new Client(bearer));

    function renew(stale: string): Promise<string | null> {
      renewing ??= alone(`kuji.session.${name}`, () => exchange(stale)).finally(() => (renewing = null));
      return renewing;
    }

    async function exchange(stale: string): Promise<string | null> {
      const now = session.value;
      if (!now || now.access_token !== stale) return now?.access_token ?? null; // another tab was faster
      try {
        const body = { refresh_token: now.refresh_token };
        session.value = keptOf(await anybody.post("/api/auth/refresh", { body, patience: 5_000 }));
        return session.value.access_token;
      } catch (error) {
        if (!isReason(error, "UNAUTHENTICATED", "BAD_CREDENTIALS", "USER_BLOCKED", "PERMISSION_DENIED")) throw error;
        session.value = null;
        return null;
      }
    }

    async function signIn(username: string, password: string): Promise<void> {
      const path = name === "admin" ? "/admin/api/login" : "/api/auth/login";
      session.value = keptOf(await anybody.post(path, { body: { username, password } }));
    }

    async function register(username: string, password: string, email: string): Promise<void> {
      const body = { username, password, ...(email ? { email } : {}) };
      session.value = keptOf(await anybody.post("/api/auth/register", { body }));
    }

    /** Ends the session here at once, and at the server as soon as it can be reached. */
    async function signOut(): Promise<void> {
      const gone = session.value;
      session.value = null;
      if (!gone) return;
      const body = { refresh_token: gone.refresh_token };
      const headers = { authorization: `Bearer ${gone.access_token}` };
      await anybody.post("/api/auth/logout", { body, headers, patience: 5_000 }).catch(() => undefined);
    }

    return {
      session,
      username: computed(() => session.value?.username ?? ""),
      userId: computed(() => session.value?.user_id ?? ""),
      isSignedIn: computed(() => session.value !== null),
      client,
      signIn,
      register,
      signOut,
      /** Takes over a session that a call gave, such as a change of password. */
      adopt: (answer: Answer) => void (session.value = keptOf(answer)),
    };
  });
}

export const usePlayer = sessionStore("player");
export const useAdmin = sessionStore("admin");
