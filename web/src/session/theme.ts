import { watchEffect } from "vue";
import { keptRef } from "./kept";

export type Theme = "system" | "light" | "dark";

/** Light, dark, or what the device says. */
export const theme = keptRef<Theme>("kuji.theme", "system");

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function apply(): void {
  const isDark = theme.value === "dark" || (theme.value === "system" && dark.matches);
  document.documentElement.classList.toggle("dark", isDark); // Element Plus goes by this class too
  document.documentElement.style.colorScheme = isDark ? "dark" : "light";
}

export function followTheme(): void {
  watchEffect(apply);
  dark.addEventListener("change", apply);
}

/** The next of the three, for a switch. */
export function nextTheme(): void {
  const order: Theme[] = ["system", "light", "dark"];
  theme.value = order[(order.indexOf(theme.value) + 1) % order.length] ?? "system";
}
