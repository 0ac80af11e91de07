import { computed } from "vue";
import { useAdmin } from "@/session/session";

/** From the least to the one that may do everything. */
const ROLES = ["viewer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** The role that an access token names. What it may do, the server decides; the pages only offer accordingly. */
export function roleOf(token: string): Role {
  try {
    const claims = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
    const { role } = JSON.parse(atob(claims)) as { role?: Role };
    return role && ROLES.includes(role) ? role : "viewer";
  } catch {
    return "viewer";
  }
}

/** Who is signed in to the administration, and what to offer. */
export function useStaff() {
  const admin = useAdmin();
  const role = computed<Role>(() => roleOf(admin.session?.access_token ?? ""));
  const may = (least: Role) => ROLES.indexOf(role.value) >= ROLES.indexOf(least);
  return { admin, role, may };
}
