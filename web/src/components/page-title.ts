import { ref, watchEffect } from "vue";
import { useI18n } from "vue-i18n";
import { useRoute } from "vue-router";

declare module "vue-router" {
  interface RouteMeta {
    /** The message that is the page's title. */
    title?: string;
  }
}

const own = ref<{ path: string; title: string } | null>(null);

/** A title that only the page itself knows, such as a name; it holds while the path stays. */
export function useOwnTitle(): (title: string) => void {
  const { path } = useRoute();
  return (title) => (own.value = { path, title });
}

/** Keeps the document's title; the frame calls it once. */
export function usePageTitle(): void {
  const route = useRoute();
  const { t } = useI18n();
  watchEffect(() => {
    const named = own.value?.path === route.path ? own.value.title : route.meta.title && t(route.meta.title);
    document.title = named ? `${named} · Kuji` : "Kuji";
  });
}
